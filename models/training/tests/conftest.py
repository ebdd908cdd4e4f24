"""Figures that a test has measured (`record_property`) stand at the end of the output, whichever process measured them."""


def pytest_terminal_summary(terminalreporter) -> None:
    """One section for each recorded figure of every test that ran."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    for report in reports:
        # The report of the teardown has them a second time.
        for title, text in report.user_properties if getattr(report, "when", None) == "call" else []:
            terminalreporter.section(title)
            for line in text.splitlines():
                terminalreporter.write_line(line)
