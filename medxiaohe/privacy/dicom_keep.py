"""The keep-list of de-identified DICOM files: the attributes that may stay, each with the values that it may
have.

PS3.15 Annex E (Basic Application Level Confidentiality Profile) lists what to remove; such a list lets
through whatever it does not name. Here every attribute that is not named is dropped, and one that is named
keeps its value only when that is a number, a term of the standard, or a UID of the standard. No free text is
kept.
"""

from __future__ import annotations

import re

# Numbers: geometry, acquisition, pixels. A value that is not a number is dropped.
NUMBERS = frozenset(
    """
    SeriesNumber AcquisitionNumber InstanceNumber TemporalPositionIdentifier NumberOfTemporalPositions
    ImagesInAcquisition InStackPositionNumber TemporalPositionIndex DimensionIndexValues EchoNumbers
    SliceThickness SpacingBetweenSlices RepetitionTime EchoTime InversionTime NumberOfAverages
    ImagingFrequency
    MagneticFieldStrength NumberOfPhaseEncodingSteps EchoTrainLength PercentSampling PercentPhaseFieldOfView
    PixelBandwidth
    AcquisitionMatrix FlipAngle SAR dBdt TriggerTime HeartRate CardiacNumberOfImages EffectiveEchoTime
    DiffusionBValue
    DiffusionGradientOrientation ReconstructionDiameter DistanceSourceToDetector DistanceSourceToPatient
    EstimatedRadiographicMagnificationFactor GantryDetectorTilt TableHeight ExposureTime ExposureTimeInuS
    XRayTubeCurrent XRayTubeCurrentInuA Exposure ExposureInuAs KVP DataCollectionDiameter SpiralPitchFactor
    SingleCollimationWidth
    TotalCollimationWidth TableSpeed TableFeedPerRotation CTDIvol FocalSpots GeneratorPower
    PositionerPrimaryAngle
    PositionerSecondaryAngle BodyPartThickness CompressionForce RelativeXRayExposure ExposureIndex
    TargetExposureIndex
    DeviationIndex Sensitivity FrameTime FrameIncrementPointer CineRate RecommendedDisplayFrameRate
    ActualFrameDuration
    ImagePositionPatient ImageOrientationPatient SliceLocation ImagerPixelSpacing NominalScannedPixelSpacing
    PixelSpacing
    PixelAspectRatio PixelSpacingCalibrationType SamplesPerPixel PlanarConfiguration NumberOfFrames Rows
    Columns
    BitsAllocated BitsStored HighBit PixelRepresentation SmallestImagePixelValue LargestImagePixelValue
    PixelPaddingValue PixelPaddingRangeLimit WindowCenter WindowWidth RescaleIntercept RescaleSlope
    RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor
    BluePaletteColorLookupTableDescriptor
    LossyImageCompressionRatio LUTDescriptor RealWorldValueSlope RealWorldValueIntercept
    RealWorldValueFirstValueMapped RealWorldValueLastValueMapped RegionLocationMinX0 RegionLocationMinY0
    RegionLocationMaxX1 RegionLocationMaxY1 PhysicalDeltaX PhysicalDeltaY PhysicalUnitsXDirection
    PhysicalUnitsYDirection
    RegionSpatialFormat RegionDataType RegionFlags NumberOfSlices NumberOfTimeSlices SliceProgressionDirection
    """.split()
)

# Terms: the words each attribute may hold. Any other value is dropped; in ImageType it becomes OTHER.
TERMS: dict[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "ImageType": (
            "ORIGINAL DERIVED PRIMARY SECONDARY AXIAL LOCALIZER MPR REFORMATTED AVERAGE MIP MINIP M P FFE SE"
            " IR NORM ND NONE DIS2D DIS3D MOSAIC DIFFUSION ADC FA TRACEW PHASE MAGNITUDE REAL IMAGINARY FLOW"
            " PERFUSION T1 T2 T2_STAR MAP PROJECTION SINGLE BIPLANE TOMO STATIC DYNAMIC WHOLE_BODY GATED"
            " VOLUME RESAMPLED FILTERED MULTIPLANAR OTHER SCREEN SAVE SAVED CAPTURE"
        ),
        "Modality": "CR CT DX MG MR NM PT US XA RF IO PX OP OPT SM ES XC OT GM SC",
        "BurnedInAnnotation": "YES NO",
        "RecognizableVisualFeatures": "YES NO",
        "PatientSex": "M F O",
        "PatientPosition": "HFS HFP HFDR HFDL FFS FFP FFDR FFDL",
        "PatientOrientation": (
            "A P L R H F AL AR PL PR AH AF PH PF LH LF RH RF LA RA LP RP HA FA HP FP HL FL HR FR"
        ),
        "BodyPartExamined": (
            "ABDOMEN ANKLE ARM AXILLA BACK BLADDER BRAIN BREAST CALF CALCANEUS CAROTID CERVIX CHEST"
            " CHESTABDOMEN CHESTABDPELVIS CLAVICLE COCCYX COLON CSPINE CTSPINE ELBOW ESOPHAGUS EXTREMITY EYE"
            " FACE FEMUR FINGER FOOT FOREARM GALLBLADDER HAND HEAD HEADNECK HEART HIP HUMERUS IAC JAW KIDNEY"
            " KNEE LEG LIVER LSPINE LSSPINE LUNG MAXILLA MEDIASTINUM MANDIBLE MOUTH NECK NOSE ORBIT PANCREAS"
            " PAROTID PATELLA PELVIS PROSTATE RIB RIBS SCAPULA SHOULDER SINUS SKULL SPINE SSPINE STERNUM"
            " STOMACH TESTIS THIGH THORAX THUMB THYROID TIBIAFIBULA TOE TSPINE UTERUS WHOLEBODY WRIST ZYGOMA"
        ),
        "Laterality": "L R B U",
        "ImageLaterality": "L R B U",
        "FrameLaterality": "L R B U",
        "ViewPosition": (
            "AP PA LL RL LAT LLD LLO RLD RLO LLAT RLAT LATERAL OBL MLO CC ML LM XCC XCCL XCCM FB SIO LMO"
            " SWIMMERS"
        ),
        "PresentationIntentType": "FOR PROCESSING PRESENTATION",
        "ScanningSequence": "SE IR GR EP RM",
        "SequenceVariant": "SK MTC SS TRSS SP MP OSP NONE",
        "ScanOptions": "PER RG CG PPG FC PFF PFP SP FS CT AXIAL HELICAL CINE",
        "MRAcquisitionType": "2D 3D",
        "AngioFlag": "Y N",
        "ImagedNucleus": "1H 3HE 7LI 13C 19F 23NA 31P 129XE",
        "InPlanePhaseEncodingDirection": "ROW COL",
        "VariableFlipAngleFlag": "Y N",
        "FilterType": "STRIP WEDGE BUTTERFLY MULTIPLE FLAT NONE BODY HEAD",
        "RotationDirection": "CW CC",
        "ExposureModulationType": "NONE",
        "PositionerType": "CARM COLUMN MAMMOGRAPHIC PANORAMIC CEPHALOSTAT NONE",
        "DetectorType": "DIRECT SCINTILLATOR STORAGE FILM",
        "Units": (
            "CNTS NONE CM2 PCNT CPS BQML MGMINML UMOLMINML MLMING MLG 1CM UMOLML PROPCNTS PROPCPS MLMINML"
            " MLML GML STDDEV"
        ),
        "DecayCorrection": "NONE START ADMIN",
        "SeriesType": "STATIC DYNAMIC GATED WHOLE BODY IMAGE REPROJECTION",
        "CountsSource": "EMISSION TRANSMISSION",
        "PhotometricInterpretation": (
            "MONOCHROME1 MONOCHROME2 PALETTE COLOR RGB YBR_FULL YBR_FULL_422 YBR_ICT YBR_RCT YBR_PARTIAL_420"
        ),
        "PixelIntensityRelationship": "LIN LOG DISP",
        "PresentationLUTShape": "IDENTITY INVERSE LIN OD",
        "RescaleType": "HU OD US MGML Z_EFF ED EDW HU_MOD PCT",
        "VOILUTFunction": "LINEAR LINEAR_EXACT SIGMOID",
        "ModalityLUTType": "HU OD US",
        "LossyImageCompression": "00 01",
        "LossyImageCompressionMethod": (
            "ISO_10918_1 ISO_14495_1 ISO_15444_1 ISO_13818_2 ISO_14496_10 ISO_23008_2"
        ),
        "VolumetricProperties": "VOLUME SAMPLED DISTORTED MIXED",
        "VolumeBasedCalculationTechnique": "NONE MAX_IP MIN_IP",
        "FrameType": "ORIGINAL DERIVED PRIMARY VOLUME NONE MIXED AXIAL LOCALIZER",
        "PixelPresentation": "MONOCHROME COLOR MIXED TRUE_COLOR",
        "DiffusionDirectionality": "DIRECTIONAL BMATRIX ISOTROPIC NONE",
        "StereoPairsPresent": "YES NO",
    }.items()
}
MAKERS = frozenset(("siemens", "siemens healthineers", "ge medical systems", "ge healthcare", "philips",
"philips medical systems",
                    "toshiba", "toshiba_mec", "canon_mec", "hitachi", "fujifilm", "agfa", "carestream",
                    "hologic", "samsung",
                    "uih", "esaote", "mindray", "varian"))  # fmt: skip

UIDS = frozenset(
    """
    SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID ReferencedSOPClassUID
    ReferencedSOPInstanceUID ReferencedFrameOfReferenceUID ConcatenationUID SynchronizationFrameOfReferenceUID
    """.split()
)
SEQUENCES = frozenset(
    """
    SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence PixelMeasuresSequence
    PlanePositionSequence
    PlaneOrientationSequence FrameContentSequence PixelValueTransformationSequence FrameVOILUTSequence
    ModalityLUTSequence
    VOILUTSequence FrameAnatomySequence MRImageFrameTypeSequence CTImageFrameTypeSequence MRDiffusionSequence
    DiffusionGradientDirectionSequence MRTimingAndRelatedParametersSequence MREchoSequence CTExposureSequence
    ReferencedImageSequence SourceImageSequence SequenceOfUltrasoundRegions
    """.split()
)
# Lookup tables are pixels by other means; their bytes are searched like those of the pixels.
TABLES = frozenset(
    "RedPaletteColorLookupTableData GreenPaletteColorLookupTableData BluePaletteColorLookupTableData LUTData".split()  # noqa: E501
)
# A date moves together with its time, so that intervals stay to the second.
DATES = {
    "StudyDate": "StudyTime",
    "SeriesDate": "SeriesTime",
    "AcquisitionDate": "AcquisitionTime",
    "ContentDate": "ContentTime",
}
DATETIMES = frozenset("AcquisitionDateTime FrameAcquisitionDateTime FrameReferenceDateTime".split())
# type 2: present without a value
EMPTY = ("PatientBirthDate", "AccessionNumber", "ReferringPhysicianName", "StudyID")

# Storage classes whose instances are pictures and nothing else. Reports, waveforms, documents and plans are
# not among them.
IMAGE_CLASSES = re.compile(
    r"(Computed Radiography|Digital (X-Ray|Mammography X-Ray|Intra-Oral X-Ray)|(Enhanced |Legacy Converted"
    r" Enhanced )?(CT|MR|PET)|"
    r"Positron Emission Tomography|Enhanced US Volume|Ultrasound|Ultrasound Multi-frame|Nuclear Medicine|"
    r"(Enhanced )?X-Ray (Angiographic|Radiofluoroscopic|XA|XRF)|Enhanced XA|Enhanced XRF|X-Ray 3D"
    r" (Angiographic|Craniofacial)|"
    r"Breast (Tomosynthesis|Projection X-Ray)|"
    r"(Multi-frame )?(Single Bit |Grayscale Byte |Grayscale Word |True Color )?Secondary Capture|(Multi-frame"
    r" )?Secondary Capture|"
    r"VL (Endoscopic|Microscopic|Photographic|Slide-Coordinates Microscopic)|Ophthalmic Photography (8|16)"
    r" Bit|"
    r"Intravascular Optical Coherence Tomography|Ophthalmic Tomography).* ?Image Storage.*"
)
NUMBER = re.compile(r"[+-]?(\d{1,12}(\.\d{0,12})?|\.\d{1,12})([eE][+-]?\d{1,3})?")
