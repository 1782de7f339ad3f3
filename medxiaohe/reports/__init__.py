"""Reports for people and for other programs: Markdown, JSON, FHIR R4B, DICOM SR TID 1500, all of one trace.

document.py reads a report out of the trace of the workflow `report`; each other file writes it in one format.
"""
