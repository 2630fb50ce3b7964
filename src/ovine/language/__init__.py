"""The logical-flow language: matches and actions, read, printed, evaluated and compiled to OpenFlow matches.

Layers, lowest first: `errors`, `values`, `lexer`, `layout`, `symbols`, `match` (the tree), `stream`, `parser`,
`environment`, `cubes`, `compiler`, `separate`, `packet`; and for actions `actions` (the tree), `action_forms`,
`action_arguments`, `action_parser`, `action_printer`, `prerequisites`. Nothing here does I/O.

For readers: docs/language.md. Tests: tests/unit/language/, cases in tests/cases/language/.
"""

from ovine.language import actions
from ovine.language.action_parser import parse_actions
from ovine.language.action_printer import format_action, format_actions
from ovine.language.actions import Action
from ovine.language.compiler import Conjunction, FlowMatch, Part, compile_match, compile_parts
from ovine.language.environment import Environment, StaticEnvironment, masked_address
from ovine.language.errors import SyntaxProblem
from ovine.language.lexer import expand_templates
from ovine.language.match import (
    FALSE,
    TRUE,
    And,
    Comparison,
    Expr,
    IsChassisResident,
    Literal,
    Not,
    Or,
    Predicate,
    References,
    all_of,
    any_of,
    format_match,
    negation,
    references,
)
from ovine.language.packet import Packet, evaluate, flows_match
from ovine.language.parser import parse_match
from ovine.language.prerequisites import prerequisite, prerequisites
from ovine.language.separate import GroupTerm, Separated, SetTerm, separate
from ovine.language.symbols import FIELDS, PREDICATES, Field, OvnField, Subfield, openflow_subfield, whole
from ovine.language.values import AddressSet, Constant, PortGroup, TemplateVar, quote

__all__ = [
    "FALSE",
    "FIELDS",
    "PREDICATES",
    "TRUE",
    "Action",
    "AddressSet",
    "And",
    "Comparison",
    "Conjunction",
    "Constant",
    "Environment",
    "Expr",
    "Field",
    "FlowMatch",
    "GroupTerm",
    "IsChassisResident",
    "Literal",
    "Not",
    "Or",
    "OvnField",
    "Packet",
    "Part",
    "PortGroup",
    "Predicate",
    "References",
    "Separated",
    "SetTerm",
    "StaticEnvironment",
    "Subfield",
    "SyntaxProblem",
    "TemplateVar",
    "actions",
    "all_of",
    "any_of",
    "compile_match",
    "compile_parts",
    "evaluate",
    "expand_templates",
    "flows_match",
    "format_action",
    "format_actions",
    "format_match",
    "masked_address",
    "negation",
    "openflow_subfield",
    "parse_actions",
    "parse_match",
    "prerequisite",
    "prerequisites",
    "quote",
    "references",
    "separate",
    "whole",
]
