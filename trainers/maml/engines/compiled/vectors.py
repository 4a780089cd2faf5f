"""Numbers that lie side by side, worked on at once: the vector code that the kernels of this engine are made of.

A `Vector` is the value of a register, or of a few. Its operators append LLVM instructions, so that a kernel's formula
can be written as one. Nothing here knows what is computed.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

INDEX = ir.IntType(64)
_FUSED = ("contract",)
"""A product and a sum may be rounded once, as in the other kernels; nothing is reordered."""


class Vector:
    """Numbers of one type, one a lane."""

    def __init__(self, code: "Code", value: Any) -> None:
        self.code, self.value = code, value

    def __add__(self, other: "Vector") -> "Vector":
        return Vector(self.code, self.code.b.fadd(self.value, other.value, flags=_FUSED))

    def __sub__(self, other: "Vector") -> "Vector":
        return Vector(self.code, self.code.b.fsub(self.value, other.value, flags=_FUSED))

    def __mul__(self, other: "Vector") -> "Vector":
        return Vector(self.code, self.code.b.fmul(self.value, other.value, flags=_FUSED))

    def __gt__(self, other: "Vector") -> "Flags":
        return Flags(self.code, self.code.b.fcmp_ordered(">", self.value, other.value))

    def __le__(self, other: "Vector") -> "Flags":
        return Flags(self.code, self.code.b.fcmp_ordered("<=", self.value, other.value))

    def equals(self, other: "Vector") -> "Flags":
        """Return where the two are equal numbers."""
        return Flags(self.code, self.code.b.fcmp_ordered("==", self.value, other.value))


class Flags:
    """A yes or no for each lane."""

    def __init__(self, code: "Code", value: Any) -> None:
        self.code, self.value = code, value

    def __and__(self, other: "Flags") -> "Flags":
        return Flags(self.code, self.code.b.and_(self.value, other.value))

    def __or__(self, other: "Flags") -> "Flags":
        return Flags(self.code, self.code.b.or_(self.value, other.value))

    def __invert__(self) -> "Flags":
        return Flags(self.code, self.code.b.not_(self.value))

    def choose(self, yes: Vector, no: Vector) -> Vector:
        """Return `yes` where the flag is set, else `no`."""
        return Vector(self.code, self.code.b.select(self.value, yes.value, no.value))


class Code:
    """Instructions on vectors of `width` bytes of a numba type, appended at numba's builder `b`."""

    def __init__(self, context: Any, b: Any, dtype: Any, width: int) -> None:
        self.context, self.b = context, b
        b.function.attributes.add("noinline")  # one copy of the function around a tile, not one for each call of it
        self._element = ir.FloatType() if dtype == types.float32 else ir.DoubleType()
        self._bytes = 4 if dtype == types.float32 else 8
        self.type = ir.VectorType(self._element, width // self._bytes)

    def in_float64(self) -> "Code":
        """Return instructions on as many numbers of float64."""
        return Code(self.context, self.b, types.float64, 8 * self.type.count)

    def extended(self, vector: Vector) -> Vector:
        """Return `vector` as numbers of this type, which is at least as precise."""
        same = vector.value.type == self.type
        return Vector(self, vector.value if same else self.b.fpext(vector.value, self.type))

    def at(self, kind: Any, array: Any, offset: Any) -> Any:
        """Return a pointer to number `offset` of `array`, whose numba type is `kind`."""
        return self.b.gep(self.context.make_array(kind)(self.context, self.b, array).data, [offset])

    def zero(self) -> Vector:
        """Return a vector of zeros."""
        return Vector(self, ir.Constant(self.type, [0.0] * self.type.count))

    def load(self, pointer: Any) -> Vector:
        """Return the vector at `pointer`, which need not be aligned."""
        found = self.b.load(self.b.bitcast(pointer, self.type.as_pointer()))
        found.align = self._bytes
        return Vector(self, found)

    def spread(self, pointer: Any) -> Vector:
        """Return a vector with the number at `pointer` in every lane."""
        undefined, first = ir.Constant(self.type, ir.Undefined), ir.IntType(32)
        one = self.b.insert_element(undefined, self.b.load(pointer), first(0))
        lanes = ir.Constant(ir.VectorType(first, self.type.count), [0] * self.type.count)
        return Vector(self, self.b.shuffle_vector(one, undefined, lanes))

    def store(self, vector: Vector, pointer: Any) -> None:
        """Write `vector` to `pointer`."""
        self.b.store(vector.value, self.b.bitcast(pointer, self.type.as_pointer())).align = self._bytes

    def product_plus(self, x: Vector, y: Vector, total: Vector) -> Vector:
        """Return x * y + total, rounded once where the processor can."""
        kind = "f32" if self._bytes == 4 else "f64"
        signature = ir.FunctionType(self.type, [self.type] * 3)
        name = f"llvm.fmuladd.v{self.type.count}{kind}"
        function = cgutils.get_or_insert_function(self.b.module, signature, name)
        return Vector(self, self.b.call(function, [x.value, y.value, total.value]))

    def loop(
        self,
        count: Any,
        pointers: Sequence[Any],
        steps: Sequence[Any],
        sums: Sequence[Vector],
        body: Callable[..., list[Vector]],
    ) -> list[Vector]:
        """Return `sums` after `count` turns (at least 1) of sums = body(sums, *pointers).

        The pointers move by `steps` after each turn.
        """
        b = self.b
        before, inside, after = b.block, b.append_basic_block("inside"), b.append_basic_block("after")
        b.branch(inside)
        b.position_at_end(inside)
        turn = b.phi(INDEX)
        here = [b.phi(pointer.type) for pointer in pointers]
        kept = [b.phi(self.type) for _ in sums]
        new = [vector.value for vector in body([Vector(self, phi) for phi in kept], *here)]
        following = [b.gep(pointer, [step]) for pointer, step in zip(here, steps, strict=True)]
        done = b.add(turn, INDEX(1))
        first = [INDEX(0), *pointers, *(vector.value for vector in sums)]
        for phi, at_first, later in zip([turn, *here, *kept], first, [done, *following, *new], strict=True):
            phi.add_incoming(at_first, before)
            phi.add_incoming(later, b.block)
        b.cbranch(b.icmp_signed("<", done, count), inside, after)
        b.position_at_end(after)
        return [Vector(self, value) for value in new]
