"""`prepare` around the registration, which is replaced: a run that is disturbed, and a list that cannot be right."""

import csv
import sys

import numpy as np
import pytest
from pydicom.uid import generate_uid

from hemocast_training import prepare
from hemocast_training.__main__ import main
from hemocast_training.data import Cohort
from hemocast_training.dicom_io import ct_slice, write_series
from hemocast_training.pairs_file import read_pairs
from hemocast_training.prepared_pair import Prepared
from hemocast_training.qa_picture import draw_qa
from hemocast_training.registration_check import Agreement

HEADER = "patient,initial,follow_up,label,site\n"
GRID = (24, 128, 128)


@pytest.fixture
def hospital(tmp_path, monkeypatch):
    """Call it with lines `patient,label` to write pairs.csv and a folder per scan and run `prepare`: (exit status, pairs
    that were registered in this run, lines of qa.csv by patient). `hospital.register[patient]` is what registering does."""

    class Hospital:
        register = {}
        root, out = tmp_path, tmp_path / "out"

        def __call__(self, *lines):
            text = HEADER
            for patient, label in (line.split(",") for line in lines):
                for scan in ("first", "next-day"):
                    if not (tmp_path / patient / scan).exists():
                        (tmp_path / patient / scan).mkdir(parents=True)
                        (tmp_path / patient / scan / "001.dcm").touch()
                text += "%s,%s/first,%s/next-day,%s,S\n" % (patient, patient, patient, label)
            (tmp_path / "pairs.csv").write_text(text)
            registered.clear()
            status = main(["prepare", "--pairs", str(tmp_path / "pairs.csv"), "--out", str(self.out)])
            with open(self.out / "qa.csv", newline="") as file:
                return status, list(registered), {line["patient"]: line for line in csv.DictReader(file)}

    registered, hospital = [], Hospital()

    def register_pair(line, out, name):
        registered.append(line.patient)
        (out / (name + ".png")).touch()
        act = hospital.register.get(line.patient, lambda: ("PatientID " + line.patient,))
        images = np.full((2, *GRID), len(line.patient), np.int16)
        return Prepared(*images, hours=20.0, agreement=Agreement(*[0.5] * 7), picture=name + ".png", identity=act())

    monkeypatch.setattr(prepare, "need_simpleitk", lambda: None)
    monkeypatch.setattr(prepare, "register_pair", register_pair)
    return hospital


def raising(error):
    def act():
        raise error

    return act


@pytest.mark.parametrize("error", [PermissionError(13, "not yours"), AttributeError("no UID"), MemoryError("too large"), KeyError("x")])
def test_whatever_goes_wrong_with_one_pair_ends_that_pair_only(hospital, error):
    hospital.register["B"] = raising(error)
    status, _, qa = hospital("A,1", "B,0", "C,0")
    assert status == 0 and [qa[name]["verdict"] for name in "ABC"] == ["used", "series-unreadable", "used"]
    assert type(error).__name__ in qa["B"]["reason"] and str(error) in qa["B"]["reason"]


def test_an_interrupted_run_goes_on_where_it_stopped(hospital):
    hospital.register["C"] = raising(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        hospital("A,1", "B,0", "C,1")
    hospital.register.clear()
    status, registered, qa = hospital("A,1", "B,0", "C,1")
    assert status == 0 and registered == ["C"] and {line["verdict"] for line in qa.values()} == {"used"}
    assert qa["A"]["hours_between"] == "20.0" and qa["A"]["skull_mm"] == "0.500"
    assert len(Cohort(hospital.out)) == 3


def test_only_lines_and_folders_that_changed_are_registered_again(hospital):
    hospital.register["D"] = raising(PermissionError("not yours"))
    hospital("A,1", "B,0", "C,1", "D,0", "E,0")
    hospital.register.clear()
    (hospital.root / "B" / "first" / "001.dcm").write_bytes(b"more")
    status, registered, qa = hospital("E,0", "A,1", "B,0", "C,0", "D,0")
    assert status == 0 and registered == ["B", "C", "D"]
    assert Cohort(hospital.out).values("label").tolist() == [0, 1, 0, 0, 0]


def test_a_kept_pair_that_is_damaged_or_lost_its_picture_is_registered_again(hospital):
    _, _, qa = hospital("A,1", "B,0", "C,1")
    key = qa["A"]["picture"][len("qa/pair-") : -len(".png")]
    (hospital.out / "pairs" / (key + ".npz")).write_bytes(b"PK cut off")
    (hospital.out / qa["B"]["picture"]).unlink()
    assert hospital("A,1", "B,0", "C,1")[1] == ["A", "B"]


def test_deleted_lines_leave_nothing_behind(hospital):
    _, _, qa = hospital("A,1", "B,0")
    hospital("B,0")
    assert Cohort(hospital.out).values("label").tolist() == [0]
    assert [path.name for path in (hospital.out / "qa").iterdir()] == [qa["B"]["picture"][len("qa/") :]]
    assert len(list((hospital.out / "pairs").iterdir())) == 1


def test_another_list_does_not_replace_a_cohort(hospital, capsys):
    hospital("A,1", "B,0")
    assert hospital("C,1")[0] == 1
    assert "holds a cohort already" in capsys.readouterr().err
    assert len(Cohort(hospital.out)) == 2


def test_a_simulated_cohort_is_not_replaced(hospital, capsys):
    hospital.out.mkdir()
    (hospital.out / "shard-0000.npz").touch()
    with pytest.raises(FileNotFoundError):
        hospital("A,1")
    assert "holds a cohort already" in capsys.readouterr().err and (hospital.out / "shard-0000.npz").exists()


@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_a_patient_under_two_pseudonyms_is_left_out_under_both(hospital, keyword):
    for name, identifier in (("A", "1"), ("B", "2"), ("C", "1")):
        hospital.register[name] = lambda identifier=identifier: (keyword + " " + identifier,)
    for _ in range(2):  # as prepared, and as kept
        status, _, qa = hospital("A,1", "B,0", "C,0")
        assert status == 0 and [qa[name]["verdict"] for name in "ABC"] == ["patient-under-two-names", "used", "patient-under-two-names"]
        assert "pair 3 has the same %s under the pseudonym C" % keyword in qa["A"]["reason"]
        assert len(Cohort(hospital.out)) == 1
    assert hospital("A,1", "B,0")[2]["A"]["verdict"] == "used"


def test_identifiers_are_those_of_both_scans_hashed_and_never_empty():
    class Scan:
        def __init__(self, **attributes):
            self.series = type("Series", (), {"first": attributes})

    first, second = Scan(PatientID=" ", SeriesInstanceUID="1.2"), Scan(PatientID="", SeriesInstanceUID="1.3")
    found = prepare.identity(first, second)
    assert len(found) == 2 and all(one.startswith("SeriesInstanceUID ") and len(one.split()[1]) == 64 for one in found)
    assert set(found) & set(prepare.identity(second, second))


def slices(**changes):
    """Twelve slices without a head, as a scanner would name them."""
    series, study = generate_uid(), generate_uid()
    return [
        ct_slice(np.full((32, 32), 1024, np.uint16), {
            "SOPInstanceUID": generate_uid(), "SeriesInstanceUID": series, "StudyInstanceUID": study, "PatientID": "P",
            "Modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "BodyPartExamined": "HEAD", "SliceThickness": "5",
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [0, 0, 5 * i], "PixelSpacing": [1, 1],
            "RescaleSlope": "1", "RescaleIntercept": "-1024", **changes,
        })
        for i in range(12)
    ]


def verdict(tmp_path):
    (tmp_path / "pairs.csv").write_text(HEADER + "P,a,b,1,S\n")
    return prepare.prepare_pair(read_pairs(tmp_path / "pairs.csv")[0], tmp_path)


@pytest.mark.parametrize("keyword", ["SeriesInstanceUID", "StudyInstanceUID"])
def test_a_file_without_its_identifiers_is_left_out_by_name(tmp_path, keyword):
    images = slices()
    delattr(images[5], keyword)
    write_series(images, tmp_path / "a", compress=False)
    found = verdict(tmp_path)
    assert found.code == "dicom-malformed" and "006.dcm lacks " + keyword in found.reason


def test_a_file_without_meta_information_is_left_out_by_name(tmp_path):
    write_series(slices(), tmp_path / "a", compress=False)
    path = tmp_path / "a" / "001.dcm"
    whole = path.read_bytes()
    meta_length = int.from_bytes(whole[140:144], "little")
    path.write_bytes(whole[:132] + whole[144 + meta_length :])
    found = verdict(tmp_path)
    assert found.code == "dicom-malformed" and "001.dcm does not say how it is encoded" in found.reason


def test_missing_dcmtk_ends_the_run_with_what_to_install(tmp_path, capsys, monkeypatch):
    images = slices()
    for image in images:
        image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"
        image.PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x02\x00\x00\x00\xff\xd8\xfe\xff\xdd\xe0\x00\x00\x00\x00"
        image["PixelData"].is_undefined_length = True
    write_series(images, tmp_path / "a", compress=False)
    (tmp_path / "b").mkdir()
    (tmp_path / "pairs.csv").write_text(HEADER + "P,a,b,1,S\n")
    monkeypatch.setattr(prepare, "need_simpleitk", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["prepare", "--pairs", str(tmp_path / "pairs.csv"), "--out", str(tmp_path / "out")]) == 1
    assert "dcmdjpeg is missing: install DCMTK (Debian package dcmtk)" in capsys.readouterr().err


def test_missing_simpleitk_is_said_before_the_first_pair(tmp_path, capsys, monkeypatch):
    (tmp_path / "pairs.csv").write_text(HEADER + "P,a,b,1,S\n")
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    assert main(["prepare", "--pairs", str(tmp_path / "pairs.csv"), "--out", str(tmp_path / "out")]) == 1
    assert "SimpleITK is missing" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text, message",
    [
        ("patient,initial,follow_up,label\nP,a,b,1\n", "lacks the column site"),
        (HEADER, "holds no pairs"),
        (HEADER + "P,a,b,1,S\n", "no pair can be used"),
        (HEADER + "P,a,b,1,S\nQ,c,d,0,S\nP,a,b,0,S\n", "pairs 1 and 3 are the same two scans"),
        ((HEADER + "P,a,b,1,S\nQ,c,d,0,Köln\n").encode("latin-1"), "line 3: this is not UTF-8; save the file as UTF-8"),
        ((HEADER + "P,a,b,1,S\n").encode("utf-16"), "save the file as UTF-8"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_by_name(tmp_path, capsys, monkeypatch, text, message):
    monkeypatch.setattr(prepare, "need_simpleitk", lambda: None)
    (tmp_path / "pairs.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["prepare", "--pairs", str(tmp_path / "pairs.csv"), "--out", str(tmp_path / "out")]) == 1
    assert message in capsys.readouterr().err


def test_a_list_may_begin_with_a_byte_order_mark_and_have_spaces_around_its_names(tmp_path):
    (tmp_path / "pairs.csv").write_text(" patient , initial, follow_up ,label, site\nP, a ,b,1,Köln\n", encoding="utf-8-sig")
    (line,) = read_pairs(tmp_path / "pairs.csv")
    assert line == (1, "P", tmp_path / "a", tmp_path / "b", "1", "Köln")


@pytest.mark.parametrize("cells, column", [("P,,b,1,S", "initial"), ("P,a, ,1,S", "follow_up")])
def test_a_blank_folder_is_an_error_of_its_line_and_does_not_read_the_folder_of_the_list(tmp_path, cells, column):
    (tmp_path / "pairs.csv").write_text(HEADER + cells + "\n")
    found = prepare.prepare_pair(read_pairs(tmp_path / "pairs.csv")[0], tmp_path)
    assert found.code == "folder-not-named" and column in found.reason


def test_a_pseudonym_is_drawn_as_written_and_not_as_a_formula(tmp_path):
    volume = np.zeros(GRID, np.float32)
    volume[:, 30:90, 30:90] = 400.0
    draw_qa(tmp_path / "pair.png", "patient A$^$1", "", "", volume, volume, volume)
    assert (tmp_path / "pair.png").stat().st_size > 0
