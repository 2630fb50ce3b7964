"""Matches: text to tree.

    match      := term { "&&" term } | term { "||" term }
    term       := "!" term | "(" match ")" | "0" | "1" | is_chassis_resident("port") | comparison
    comparison := field [operator values] | constant operator field [operator constant] | predicate
    values     := value | "{" value { [","] value } [","] "}"

The parser also resolves names and checks types, so that a tree from it always has a meaning. Source: ovn-sb(5),
"match".

Tests: tests/unit/language/test_match_cases.py; tests/cases/language/match.txt.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from ovine.language.lexer import Token
from ovine.language.match import (
    Comparison,
    Expr,
    IsChassisResident,
    Literal,
    Predicate,
    all_of,
    any_of,
    negation,
)
from ovine.language.stream import Stream
from ovine.language.symbols import PREDICATES, Subfield
from ovine.language.values import AddressSet, Constant, PortGroup, TemplateVar, Value

_MIRROR: Final = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_VALUE_KINDS: Final = frozenset(("int", "string", "as", "pg", "tv", "{"))


@lru_cache(maxsize=8192)
def parse_match(text: str) -> Expr:
    """Read a match. Raises SyntaxProblem, and nothing else, for any text that is none."""
    stream = Stream(text)
    expr = _Parser(stream).match()
    if stream.token.kind != "end":
        stream.fail("expected the end of the match" if stream.token.kind != ")" else "this ) has no (")
    return expr


@lru_cache(maxsize=256)
def predicate_expansion(name: str) -> Expr:
    """The expression that a predicate stands for; KeyError if there is none of that name."""
    return parse_match(PREDICATES[name])


@lru_cache(maxsize=256)
def is_nominal(predicate: str) -> bool:
    """True if a predicate's expansion refers to a nominal field or predicate, so that it can't be negated."""
    return _refers_to_nominal(predicate_expansion(predicate))


def _refers_to_nominal(expr: Expr) -> bool:
    match expr:
        case Comparison(field):
            return field.field.kind != "ordinal"
        case Predicate(name):
            return is_nominal(name)
        case Literal() | IsChassisResident():
            return False
    return any(map(_refers_to_nominal, expr.terms if not hasattr(expr, "term") else (expr.term,)))


class _Parser:
    """One run over a stream. `negated` tells whether an odd number of `!` is open."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.negated = False

    def match(self) -> Expr:
        """One match, up to what cannot continue it."""
        stream = self.stream
        terms = [self.term()]
        operator = stream.token.kind
        if operator not in ("&&", "||"):
            return terms[0]
        while stream.accept(operator):
            terms.append(self.term())
        if stream.token.kind in ("&&", "||"):
            stream.fail("&& and || need parentheses when used together")
        return all_of(terms) if operator == "&&" else any_of(terms)

    def term(self) -> Expr:
        """A match in parentheses, a negation, or a leaf."""
        stream = self.stream
        if stream.token.kind == "(":
            return self.parenthesised()
        if stream.token.kind != "!":
            return self.leaf()
        stream.take()
        stream.descend()
        self.negated = not self.negated
        start = stream.index
        term = self.term()
        if stream.tokens[start].kind not in ("(", "!") and stream.saw(start, _MIRROR):
            stream.fail("! needs parentheses round a comparison", stream.tokens[start])
        self.negated = not self.negated
        stream.ascend()
        return negation(term)

    def parenthesised(self) -> Expr:
        """A match in parentheses."""
        self.stream.take()
        self.stream.descend()
        expr = self.match()
        self.stream.expect(")", "&&, || or )")
        self.stream.ascend()
        return expr

    def leaf(self) -> Expr:
        """A literal, a function, a predicate or a comparison."""
        stream = self.stream
        token = stream.token
        if token.kind == "id":
            if token.value == "is_chassis_resident":
                return self.resident()
            return self.predicate() if token.value in PREDICATES else self.field_first()
        if token.kind in _VALUE_KINDS:
            values = self.values()
            if stream.token.kind in _MIRROR:
                return self.constant_first(values, token)
            if token.kind == "int" and token.value in ("0", "1"):
                return Literal(token.value == "1")
            stream.fail("expected a relational operator")
        return stream.fail("expected a comparison, a predicate, 0, 1, ! or (")

    def resident(self) -> Expr:
        """is_chassis_resident("port")."""
        stream = self.stream
        stream.take()
        stream.expect("(")
        port = stream.expect("string", "the name of a port in quotes").value
        stream.expect(")")
        return IsChassisResident(port)

    def predicate(self) -> Expr:
        """`p`, `p == 1`, `p != 0` or, for `not p`, `p == 0`, `p != 1`."""
        stream = self.stream
        token = stream.take()
        expr: Expr = Predicate(token.value)
        negative = False
        if stream.token.kind in _MIRROR:
            operator = stream.take()
            negative = self.is_false(token, operator, stream.expect("int", "0 or 1"))
        return self.checked_predicate(token, expr, negative)

    def is_false(self, token: Token, operator: Token, bit: Token) -> bool:
        """True if comparing a predicate with a bit says that it is false."""
        if operator.kind not in ("==", "!="):
            self.stream.fail(f"the predicate {token.value} can only be tested with == and !=", operator)
        if bit.value not in ("0", "1"):
            self.stream.fail(f"the predicate {token.value} is only ever 0 or 1", bit)
        return (operator.kind == "==") == (bit.value == "0")

    def checked_predicate(self, token: Token, expr: Expr, negative: bool) -> Expr:
        """A predicate, or its negation where that can be."""
        if negative != self.negated and is_nominal(token.value):
            self.stream.fail(
                f"the predicate {token.value} can only be tested for being true, outer ! taken into account", token
            )
        return negation(expr) if negative else expr

    def field_first(self) -> Expr:
        """`field operator values`, or a bit by itself."""
        stream = self.stream
        start = stream.token
        field = stream.subfield()
        if stream.token.kind in _MIRROR:
            operator = stream.take()
            at = stream.token
            return self.comparison(field, operator, self.values(), start, at)
        if stream.token.kind == "=":
            stream.fail("'=' is for assignments; comparisons use ==")
        if field.field.kind == "string" or field.width != 1:
            stream.fail(f"{field} must be compared with something; only a single bit stands by itself", start)
        return Comparison(field, "==", (Constant(1),))

    def constant_first(self, values: tuple[Value, ...], at: Token) -> Expr:
        """`constant operator field`, or a range `constant <= field <= constant`."""
        stream = self.stream
        operator = stream.take()
        start = stream.token
        if start.kind == "id" and start.value in PREDICATES:
            return self.checked_predicate(start, Predicate(stream.take().value), self.is_false(start, operator, at))
        field = stream.subfield()
        left = self.comparison(field, operator._replace(kind=_MIRROR[operator.kind]), values, start, at)
        if stream.token.kind not in _MIRROR:
            return left
        second = stream.take()
        if operator.kind[0] not in "<>" or second.kind[0] != operator.kind[0]:
            stream.fail("a range is written low <= field <= high or high >= field >= low", second)
        at = stream.token
        right = self.comparison(field, second, self.values(), start, at)
        # Under a negation the two halves are alternatives, which negating the And says.
        return all_of((left, right))

    def values(self) -> tuple[Value, ...]:
        """One value, or a set in braces."""
        stream = self.stream
        if not stream.accept("{"):
            return (self.value(),)
        values = [self.value()]
        stream.accept(",")
        while not stream.accept("}"):
            if stream.token.kind not in _VALUE_KINDS or stream.token.kind == "{":
                stream.fail("expected a constant or }")
            values.append(self.value())
            stream.accept(",")
        return tuple(values)

    def value(self) -> Value:
        """One constant, or a reference to a set of them."""
        token = self.stream.token
        result: Value
        if token.kind == "int":
            assert token.constant is not None
            result = token.constant
        elif token.kind == "string":
            result = token.value
        elif token.kind == "as":
            result = AddressSet(token.value)
        elif token.kind == "pg":
            result = PortGroup(token.value)
        elif token.kind == "tv":
            result = TemplateVar(token.value)
        else:
            self.stream.fail("expected a constant")
        self.stream.take()
        return result

    def comparison(
        self, field: Subfield, operator: Token, values: tuple[Value, ...], start: Token, at: Token
    ) -> Comparison:
        """A comparison whose types fit. `start` and `at` are where the field and the values stand."""
        stream = self.stream
        kind = field.field.kind
        for value in values:
            problem = value_problem(field, value)
            if problem:
                stream.fail(problem, at)
        if operator.kind not in ("==", "!="):
            if kind != "ordinal":
                stream.fail(f"only == and != can be used with the {kind} field {field.name}", operator)
            if len(values) > 1 or not isinstance(values[0], Constant | TemplateVar):
                stream.fail("only == and != can be used with sets", operator)
            if isinstance(values[0], Constant) and values[0].mask is not None:
                stream.fail("only == and != can be used with masked constants; a subfield can be compared", operator)
        elif kind != "ordinal" and (operator.kind == "!=") != self.negated:
            stream.fail(f"{field.name} can only be tested for equality, outer ! taken into account", start)
        return Comparison(field, operator.kind, values)


def value_problem(field: Subfield, value: Value) -> str:
    """Why a value can't be compared with or assigned to a field; empty if it can."""
    kind = field.field.kind
    if isinstance(value, TemplateVar):
        return ""
    if isinstance(value, str | PortGroup):
        return "" if kind == "string" else f"{field} is a number; it can't be compared with a port"
    if kind == "string":
        return f"{field} is a port; it is compared with a name in quotes or a port group"
    if isinstance(value, AddressSet):
        return ""
    if max(value.value, value.mask or 0) >> field.width:
        return f"{value} does not fit into {field}, which has {field.width} bits"
    if kind == "nominal" and value.mask is not None:
        return f"{field} can't be masked"
    return ""
