"""Simulated pairs of head CTs after thrombectomy: one seed is one patient, and the same seed is the same patient.

The way of a pair through the files: `patient` draws what is true of the patient, `geometry` places the head in the
scanner, `view` reads the head there once for both scans, `lesions` paints infarct, contrast staining and blood, `severity`
turns what is visible into the probability of hemorrhage, `scanner` makes a CT of it, `pair` joins these, `shifts` names
departures, and `cohort` writes shards.
Physics and case mix: docs/simulator.md.
"""
