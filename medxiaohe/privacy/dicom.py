"""De-identify DICOM files: write a new file of the attributes on a keep-list, then search its bytes for the
old values.

After PS3.15 Annex E, Basic Profile with Clean Pixel Data, Retain Longitudinal Temporal Information with
Modified Dates and (sex, and age up to 90) part of Retain Patient Characteristics. What differs: it is a
keep-list (`dicom_keep`), so private attributes, overlays, curves, graphics, codes, comments and attributes of
future editions are dropped because they are not on it. Anything that is not a plain image (reports,
documents, waveforms, plans) is refused.
"""

from __future__ import annotations

import datetime
import io
import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import medxiaohe
from medxiaohe import io as files
from medxiaohe.errors import MissingExtra
from medxiaohe.privacy import dicom_keep, dicom_pixels, dicom_scan
from medxiaohe.privacy.pixels import Policy
from medxiaohe.privacy.quarantine import Quarantined
from medxiaohe.privacy.secret import Key

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

MAX_BYTES, MAX_DEPTH = 2**30, 16
METHOD = "medxiaohe keep-list"
STANDARD_UID = re.compile(r"1\.2\.840\.10008\.[0-9.]{1,45}")
CODES = (  # PS3.16 CID 7050
    ("113100", "Basic Application Confidentiality Profile"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    ("113108", "Retain Patient Characteristics Option"),
)
CLEANED = ("113101", "Clean Pixel Data Option")
OLDEST = "090Y"


@dataclass(frozen=True)
class Cleaned:
    """A de-identified file.

    Attributes:
        data: bytes of the new file.
        patient: pseudonym of the patient.
        study: new StudyInstanceUID.
        uid: new SOPInstanceUID.
        counts: attributes kept and dropped, remapped UIDs, shifted times, values searched for in the output
            (`searched`), and whether pixels were blanked.
    """

    data: bytes = field(repr=False)
    patient: str
    study: str
    uid: str
    counts: dict[str, int]


def deidentify(path: Path, out: Path, *, key: Key, policy: Policy | None = None) -> Cleaned:
    """De-identify a DICOM file.

    Args:
        path: the original, at most MAX_BYTES.
        out: the new file; nothing is written where the original is refused.
        key: of the pseudonyms and date shifts.
        policy: how text in pixels is handled; None: Policy(), OCR must find no text.

    Returns:
        The new file.

    Raises:
        Quarantined: it cannot be read, is no picture, its pixels may have text that the policy does not
            clear, or a value of the original was found in the new bytes.
        MissingExtra: pydicom is not installed.
        StorageError: `out` cannot be written.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Quarantined(f"larger than {MAX_BYTES >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise Quarantined(f"cannot be read: {(error.strerror or 'input/output error').lower()}") from None
    cleaned = clean(data, key=key, policy=policy or Policy())
    files.write(out, lambda file: file.write(cleaned.data))
    return cleaned


def clean(data: bytes, *, key: Key, policy: Policy) -> Cleaned:
    """De-identify the bytes of a DICOM file (see `deidentify`).

    Args:
        data: of the original.
        key: of the pseudonyms and date shifts.
        policy: how text in pixels is handled.

    Returns:
        The new file.

    Raises:
        Quarantined: as `deidentify`.
        MissingExtra: pydicom is not installed.
    """
    try:
        import pydicom
    except ImportError as error:
        raise MissingExtra("de-identifying DICOM needs pydicom: pip install 'medxiaohe[deid]'") from error
    with _quiet():
        try:
            old = pydicom.dcmread(io.BytesIO(data))
            return _clean(old, key, policy)
        except (Quarantined, MissingExtra):
            raise
        except Exception as error:  # what pydicom says may quote the file
            raise Quarantined(f"not a readable DICOM file ({type(error).__name__})") from None


def _clean(old: FileDataset, key: Key, policy: Policy) -> Cleaned:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

    dicom_pixels.require_picture(old)
    work = _Work(key, _patient(old))
    # copy what the keep-list allows, with new UIDs and moved dates
    new = FileDataset("", {}, preamble=b"\0" * 128)
    work.copy(old, new, depth=0)
    syntax = old.file_meta.TransferSyntaxUID
    # blank and check the pixels
    pixels, syntax, cleaned = dicom_pixels.cleaned(old, syntax, policy)
    if syntax == DeflatedExplicitVRLittleEndian:
        syntax = ExplicitVRLittleEndian  # compressed bytes could not be searched
    # required attributes of the patient and the study, empty or a pseudonym
    pseudonym = work.make(key.name("patient", work.patient))
    new.PatientID = new.PatientName = pseudonym
    for name in dicom_keep.EMPTY:
        setattr(new, name, "")
    _say_so(new, cleaned)
    new.add_new(0x7FE00010, "OB" if syntax.is_encapsulated or int(old.BitsAllocated) <= 8 else "OW", pixels)
    new["PixelData"].is_undefined_length = syntax.is_encapsulated
    # file meta information (PS3.10, 7.1), of this program
    meta = new.file_meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = new.SOPClassUID, new.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = work.said("2.25.302043790172249692526321623266752743501")
    meta.ImplementationVersionName = work.said("MEDXIAOHE")
    buffer = io.BytesIO()
    new.save_as(buffer, enforce_file_format=True)
    output = buffer.getvalue()
    # re-scan: no text of the original may be in the new bytes, except terms anybody may write
    texts = dicom_scan.values(old, old.preamble or b"")
    written = [*work.written, METHOD, medxiaohe.__version__, "MODIFIED", "DCM", "YES",
    *(word for pair in (*CODES, CLEANED) for word in pair),
            str(syntax)]  # fmt: skip
    if count := dicom_scan.hits(texts, output, pixels, written, work.made):
        raise Quarantined(f"the re-scan found {count} of {len(texts)} original values in the new bytes")
    counts = {**work.counts, "searched": len(texts), "pixels_blanked": int(cleaned)}
    study = str(new.get("StudyInstanceUID", "")) or work.key.uid("study")
    return Cleaned(output, pseudonym, study, str(new.SOPInstanceUID), counts)


class _Work:
    """State of one file: which values were kept, dropped and made."""

    def __init__(self, key: Key, patient: str):
        self.key, self.patient = key, patient
        self.shift = datetime.timedelta(seconds=key.shift_seconds(patient))
        self.counts: Counter[str] = Counter(kept=0, dropped=0, uids=0, times=0)
        self.written: set[str] = set()  # terms that anybody may write
        self.made: set[str] = set()  # computed with the key

    def said(self, text: str) -> str:
        """Record a term that anybody may write, so that the re-scan allows it.

        Returns:
            The same text.
        """
        self.written.add(text)
        return text

    def make(self, text: str) -> str:
        """Record a value computed with the key, so that the re-scan does not search within it.

        Returns:
            The same text.
        """
        self.made.add(text)
        return text

    def copy(self, old: Dataset, new: Dataset, depth: int) -> None:
        """Add to `new` what the keep-list allows of `old`, sequences included.

        Args:
            old: the original dataset, or an item of one of its sequences.
            new: is changed.
            depth: of nesting, 0 for the file.

        Raises:
            Quarantined: sequences are nested deeper than MAX_DEPTH.
        """
        from pydicom.datadict import keyword_for_tag
        from pydicom.dataset import Dataset as PlainDataset

        if depth > MAX_DEPTH:
            raise Quarantined(f"sequences nested deeper than {MAX_DEPTH}")
        for tag in list(old.keys()):
            name = "" if tag.is_private else keyword_for_tag(tag)
            if name in dicom_keep.SEQUENCES:
                items = []
                for item in old[tag].value if old[tag].VR == "SQ" else ():
                    inner = PlainDataset()
                    self.copy(item, inner, depth + 1)
                    items.append(inner)
                setattr(new, name, items)
                self.counts["kept"] += 1
            elif name not in ("PixelData", *dicom_keep.DATES, *dicom_keep.DATES.values()):
                value = self.value(name, old, tag)
                self.counts["dropped" if value is None else "kept"] += 1
                if value is not None:
                    setattr(new, name, value)
        self.dates(old, new)

    def value(self, name: str, old: Dataset, tag: Any) -> Any:
        """Return what may stay of an attribute.

        Args:
            name: its keyword; "" for a private one.
            old: the original dataset.
            tag: of the attribute.

        Returns:
            The value to write; None drops the attribute.

        Raises:
            Quarantined: a UID of the standard is not one.
        """
        is_listed = (
            name in dicom_keep.NUMBERS
            or name in dicom_keep.TERMS
            or name in dicom_keep.UIDS
            or name in dicom_keep.DATETIMES
        )
        if not (is_listed or name in dicom_keep.TABLES or name in ("PatientAge", "Manufacturer")):
            return None
        try:
            value = old[tag].value
        except Exception:  # a value that pydicom cannot convert is not one of the keep-list
            return None
        several = (
            list(value) if hasattr(value, "__iter__") and not isinstance(value, (str, bytes)) else [value]
        )
        if value is None or value == "":
            return None
        if name in dicom_keep.NUMBERS:
            return value if all(dicom_keep.NUMBER.fullmatch(_plain(v)) for v in several) else None
        if name in dicom_keep.TERMS:
            return self.terms(name, [str(v) for v in several])
        if name in dicom_keep.UIDS:
            return self.uid(str(value))
        if name in dicom_keep.TABLES:
            return value
        if name == "PatientAge":
            return _age(str(value))
        if name == "Manufacturer":
            return self.said(str(value)) if str(value).strip().lower() in dicom_keep.MAKERS else None
        moved = _shifted(str(value)[:8], str(value)[8:], self.shift)
        self.counts["times"] += moved is not None
        return None if moved is None else moved[0] + moved[1]

    def terms(self, name: str, values: list[str]) -> list[str] | str | None:
        """Filter the values of an attribute by its list of allowed terms.

        Returns:
            The values, a single one not as a list; None where one is not allowed. In ImageType and FrameType,
            whose positions have meanings, such a value becomes OTHER.
        """
        allowed = dicom_keep.TERMS[name]
        fine = [all(word in allowed for word in value.split()) for value in values]
        if name in ("ImageType", "FrameType"):  # the position in the list has a meaning
            return [self.said(v if ok else "OTHER") for v, ok in zip(values, fine, strict=True)]
        if not all(fine):
            return None
        selected = [self.said(v) for v in values]
        return selected if len(selected) > 1 else selected[0]

    def uid(self, value: str) -> str:
        """Replace a UID by a keyed one; a UID of the standard stays.

        Returns:
            The UID to write.

        Raises:
            Quarantined: it is under the root of the standard, which does not have it.
        """
        from pydicom.uid import UID_dictionary

        if STANDARD_UID.fullmatch(value):
            if value not in UID_dictionary:
                raise Quarantined("a UID under the root of the standard that the standard does not have")
            return self.said(value)
        self.counts["uids"] += 1
        return self.make(self.key.uid(value))

    def dates(self, old: Dataset, new: Dataset) -> None:
        """Move dates together with their times by the shift of the patient; a time without its date is
        dropped.

        Args:
            old: the original dataset.
            new: is changed.
        """
        for day, time in dicom_keep.DATES.items():
            has = [name for name in (day, time) if name in old]
            moved = _shifted(_text(old, day), _text(old, time), self.shift) if day in old else None
            self.counts["dropped"] += len(has) if moved is None else 0
            if moved is not None:
                setattr(new, day, moved[0])
                setattr(new, time, moved[1])
                self.counts["times"] += len(has)


def _patient(old: Dataset) -> str:
    """Return the key of a patient: the id, else name and birth date, else the study."""
    for names in (
        ("IssuerOfPatientID", "PatientID"),
        ("PatientName", "PatientBirthDate"),
        ("StudyInstanceUID",),
    ):
        results = [_text(old, name).strip().casefold() for name in names]
        if results[-1] or (names[0] == "PatientName" and results[0]):
            return "\0".join(results)
    raise Quarantined("no patient and no study")


def _text(old: Dataset, name: str) -> str:
    value = old.get(name)
    return "" if value is None else str(value)


def _plain(value: Any) -> str:
    return str(getattr(value, "original_string", value)).strip()


def _age(value: str) -> str | None:
    """Return an age of at most 90 years (45 CFR 164.514(b)(2)(i)(C)); None when it is not a DICOM age
    string.
    """
    if not (match := re.fullmatch(r"(\d{3})([DWMY])", value.strip())):
        return None
    years = int(match[1]) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[match[2]]
    return OLDEST if years >= 90 else match[0]


def _shifted(day: str, time: str, back: datetime.timedelta) -> tuple[str, str] | None:
    """Move a DICOM date and time back; None when it is not one. The precision of the time stays; offsets
    are dropped.
    """
    date = re.fullmatch(r"(\d{4})[.-]?(\d\d)[.-]?(\d\d)", day.strip())
    clock = re.fullmatch(r"((\d\d):?(\d\d)?:?(\d\d)?(\.\d{1,6})?)?([+-]\d{4})?", time.strip())
    if not date or not clock:
        return None
    hour, minute, second = (int(clock[i] or 0) for i in (2, 3, 4))
    try:
        moved = (
            datetime.datetime(int(date[1]), int(date[2]), int(date[3]), hour, minute, min(second, 59)) - back
        )
    except (ValueError, OverflowError):
        return None
    written = moved.strftime("%H%M%S")[: 2 * sum(clock[i] is not None for i in (2, 3, 4))] + (clock[5] or "")
    return f"{moved.year:04}{moved:%m%d}", written


def _say_so(new: Dataset, cleaned: bool) -> None:
    from pydicom.dataset import Dataset as PlainDataset

    new.PatientIdentityRemoved, new.LongitudinalTemporalInformationModified = "YES", "MODIFIED"
    new.DeidentificationMethod = f"{METHOD} {medxiaohe.__version__}"
    items = []
    for code, meaning in (*CODES, CLEANED) if cleaned else CODES:
        item = PlainDataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
        items.append(item)
    new.DeidentificationMethodCodeSequence = items


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence pydicom, whose warnings and log lines quote values."""
    logger = logging.getLogger("pydicom")
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before
