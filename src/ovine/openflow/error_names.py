"""Names of OpenFlow 1.5 errors and of Nicira's, as `ovs-ofctl` prints them.

Source: OpenFlow 1.5.1 §7.5.4; the numbers as `ovs-ofctl ofp-parse` names them, which is also what
tests/unit/openflow/test_openflow_messages.py compares with.
"""

from __future__ import annotations

from ovine.openflow.fields import NX_EXPERIMENTER

# Error type -> (prefix, names in order of code); "-" where a code has no name.
_STANDARD: dict[int, tuple[str, str]] = {
    0: ("OFPHFC", "INCOMPATIBLE EPERM"),
    1: (
        "OFPBRC",
        "BAD_VERSION BAD_TYPE BAD_STAT BAD_VENDOR BAD_SUBTYPE EPERM BAD_LEN BUFFER_EMPTY BUFFER_UNKNOWN "
        "BAD_TABLE_ID IS_SECONDARY BAD_PORT BAD_PACKET MULTIPART_BUFFER_OVERFLOW "
        "MULTIPART_REQUEST_TIMEOUT MULTIPART_REPLY_TIMEOUT MULTIPART_BAD_SCHED PIPELINE_FIELDS_ONLY "
        "UNKNOWN",
    ),
    2: (
        "OFPBAC",
        "BAD_TYPE BAD_LEN BAD_VENDOR BAD_VENDOR_TYPE BAD_OUT_PORT BAD_ARGUMENT EPERM TOO_MANY BAD_QUEUE "
        "BAD_OUT_GROUP MATCH_INCONSISTENT UNSUPPORTED_ORDER BAD_TAG BAD_SET_TYPE BAD_SET_LEN "
        "BAD_SET_ARGUMENT BAD_SET_MASK BAD_METER",
    ),
    3: (
        "OFPBIC",
        "UNKNOWN_INST UNSUP_INST BAD_TABLE_ID UNSUP_METADATA UNSUP_METADATA_MASK BAD_EXPERIMENTER "
        "BAD_EXP_TYPE BAD_LEN EPERM DUP_INST",
    ),
    4: (
        "OFPBMC",
        "BAD_TYPE BAD_LEN BAD_TAG BAD_DL_ADDR_MASK BAD_NW_ADDR_MASK BAD_WILDCARDS BAD_FIELD BAD_VALUE "
        "BAD_MASK BAD_PREREQ DUP_FIELD EPERM",
    ),
    5: (
        "OFPFMFC",
        "UNKNOWN TABLE_FULL BAD_TABLE_ID OVERLAP EPERM BAD_TIMEOUT BAD_COMMAND BAD_FLAGS CANT_SYNC "
        "BAD_PRIORITY IS_SYNC",
    ),
    6: (
        "OFPGMFC",
        "GROUP_EXISTS INVALID_GROUP WEIGHT_UNSUPPORTED OUT_OF_GROUPS OUT_OF_BUCKETS CHAINING_UNSUPPORTED "
        "WATCH_UNSUPPORTED LOOP UNKNOWN_GROUP CHAINED_GROUP BAD_TYPE BAD_COMMAND BAD_BUCKET BAD_WATCH "
        "EPERM UNKNOWN_BUCKET BUCKET_EXISTS",
    ),
    7: ("OFPPMFC", "BAD_PORT BAD_HW_ADDR BAD_CONFIG BAD_ADVERTISE EPERM"),
    8: ("OFPTMFC", "BAD_TABLE BAD_CONFIG EPERM"),
    9: ("OFPQOFC", "BAD_PORT BAD_QUEUE EPERM"),
    10: ("OFPSCFC", "BAD_FLAGS BAD_LEN EPERM"),
    11: ("OFPRRFC", "STALE UNSUP BAD_ROLE ID_UNSUP ID_IN_USE"),
    12: (
        "OFPMMFC",
        "UNKNOWN METER_EXISTS INVALID_METER UNKNOWN_METER BAD_COMMAND BAD_FLAGS BAD_RATE BAD_BURST "
        "BAD_BAND BAD_BAND_VALUE OUT_OF_METERS OUT_OF_BANDS",
    ),
    13: ("OFPTFFC", "BAD_TABLE BAD_METADATA - - - EPERM BAD_CAPA BAD_MAX_ENT BAD_FEATURES BAD_COMMAND TOO_MANY"),
    14: ("OFPBPC", "BAD_TYPE BAD_LEN BAD_VALUE TOO_MANY DUP_TYPE BAD_EXPERIMENTER BAD_EXP_TYPE BAD_EXP_VALUE EPERM"),
    15: ("OFPACFC", "INVALID UNSUPPORTED EPERM"),
    16: (
        "OFPMOFC",
        "UNKNOWN MONITOR_EXISTS INVALID_MONITOR UNKNOWN_MONITOR BAD_COMMAND BAD_FLAGS BAD_TABLE_ID BAD_OUT",
    ),
    17: (
        "OFPBFC",
        "UNKNOWN EPERM BAD_ID BUNDLE_EXIST BUNDLE_CLOSED OUT_OF_BUNDLES BAD_TYPE BAD_FLAGS MSG_BAD_LEN "
        "MSG_BAD_XID MSG_UNSUP MSG_CONFLICT MSG_TOO_MANY MSG_FAILED TIMEOUT BUNDLE_IN_PROGRESS "
        "SCHED_NOT_SUPPORTED SCHED_FUTURE SCHED_PAST",
    ),
}

# Codes of Nicira's vendor errors.
_NICIRA = {
    2: "NXBRC_NXM_INVALID",
    3: "NXBRC_NXM_BAD_TYPE",
    4: "NXBRC_MUST_BE_ZERO",
    5: "NXBRC_BAD_REASON",
    9: "NXBRC_FM_BAD_EVENT",
    10: "NXBRC_UNENCODABLE_ERROR",
    11: "NXBAC_MUST_BE_ZERO",
    12: "NXFMFC_HARDWARE",
    13: "NXFMFC_BAD_TABLE_ID",
    15: "NXBAC_BAD_CONJUNCTION",
    16: "NXTTMFC_BAD_COMMAND",
    17: "NXTTMFC_BAD_OPT_LEN",
    18: "NXTTMFC_BAD_FIELD_IDX",
    19: "NXTTMFC_TABLE_FULL",
    20: "NXTTMFC_ALREADY_MAPPED",
    21: "NXTTMFC_DUP_ENTRY",
    22: "OFPBFC_BAD_VERSION",
    23: "NXQOFC_QUEUE_ERROR",
    34: "NXR_NOT_SUPPORTED",
    35: "NXR_STALE",
    36: "NXST_NOT_CONFIGURED",
    37: "NXFMFC_INVALID_TLV_FIELD",
    38: "NXTTMFC_INVALID_TLV_DEL",
    39: "NXBAC_BAD_HEADER_TYPE",
    40: "NXBAC_UNKNOWN_ED_PROP",
    41: "NXBAC_BAD_ED_PROP",
    42: "NXBAC_CT_DATAPATH_SUPPORT",
    43: "NXBMC_CT_DATAPATH_SUPPORT",
    44: "NXTFFC_DUP_TABLE",
}


def _names() -> dict[tuple[int, int], str]:
    return {
        (kind, code): f"{prefix}_{word}"
        for kind, (prefix, words) in _STANDARD.items()
        for code, word in enumerate(words.split())
        if word != "-"
    }


_NAMES = _names()


def error_name(vendor: int, kind: int, code: int) -> str:
    """The symbolic name of an error, or its numbers in words if it has none."""
    if vendor == NX_EXPERIMENTER:
        return _NICIRA.get(code, f"Nicira error {code}")
    if vendor:
        return f"error {code} of vendor {vendor:#010x}"
    return _NAMES.get((kind, code), f"error type {kind} code {code}")
