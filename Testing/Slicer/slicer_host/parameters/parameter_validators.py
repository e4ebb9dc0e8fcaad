"""Annotations of parameter node members: checks, defaults, and hints for widgets, with Slicer's names. Imports nothing of Slicer."""

from __future__ import annotations

import abc
import dataclasses
import typing


class Validator(abc.ABC):
    """A check of a value before it is stored."""

    @abc.abstractmethod
    def validate(self, value) -> None:
        """Raise an exception if the value is not allowed."""


class NotNone(Validator):
    def validate(self, value):
        if value is None:
            raise ValueError("Value must not be None")


class IsInstance(Validator):
    def __init__(self, classtype):
        self.classtype = classtype

    def validate(self, value):
        if value is not None and not isinstance(value, self.classtype):
            raise TypeError(f"Value must be of type '{self.classtype}', is type '{type(value)}' value '{value}'")


class WithinRange(Validator):
    def __init__(self, minimum, maximum):
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


class Minimum(Validator):
    def __init__(self, minimum):
        self.minimum = minimum

    def validate(self, value):
        if value < self.minimum:
            raise ValueError(f"Value must be at least {self.minimum}, is {value}")


class Maximum(Validator):
    def __init__(self, maximum):
        self.maximum = maximum

    def validate(self, value):
        if value > self.maximum:
            raise ValueError(f"Value must be at most {self.maximum}, is {value}")


class Choice(Validator):
    def __init__(self, choices):
        self.choices = choices

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be in one of the following: {self.choices}")


class Exclude(Validator):
    def __init__(self, excludedValues):
        self.excludedValues = excludedValues

    def validate(self, value):
        if value in self.excludedValues:
            raise ValueError(f"Value is {value}, but must not be one of {self.excludedValues}")


class RangeBounds(Validator):
    def __init__(self, minimum, maximum):
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value):
        if value.minimum < self.minimum or value.maximum > self.maximum:
            raise ValueError(f"Range must be within [{self.minimum}, {self.maximum}], is [{value.minimum}, {value.maximum}]")


class Default:
    """The value of a member in a new parameter node."""

    def __init__(self, value=None, *, generator=None):
        if value is not None and generator is not None:
            raise ValueError("Default takes a value or a generator, not both")
        self._value, self._generator = value, generator

    @property
    def value(self):
        return self._value if self._generator is None else self._generator()


@dataclasses.dataclass
class Decimals:
    value: int


@dataclasses.dataclass
class SingleStep:
    value: float


def splitAnnotations(possiblyAnnotatedType):
    """(type without annotations, tuple of its annotations)."""
    if hasattr(possiblyAnnotatedType, "__metadata__"):
        return typing.get_args(possiblyAnnotatedType)[0], tuple(possiblyAnnotatedType.__metadata__)
    return possiblyAnnotatedType, ()


def unannotatedType(possiblyAnnotatedType):
    return splitAnnotations(possiblyAnnotatedType)[0]


def findFirstAnnotation(annotationsList, annotationType):
    return next((annotation for annotation in annotationsList if isinstance(annotation, annotationType)), None)


def default_of(annotations, fallback) -> Default:
    """The default among annotations, or one made of the fallback."""
    return findFirstAnnotation(annotations, Default) or Default(fallback)
