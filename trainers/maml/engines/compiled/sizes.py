"""How large the tiles and runs of the loops are, by instruction set: a committed table, never a timing.

A timing would depend on the load of the machine, and with the order of sums the bits would too.
"""

import os
from functools import lru_cache
from typing import NamedTuple

import llvmlite.binding as llvm


class Sizes(NamedTuple):
    """Bytes of a vector of a product (`width`) and of a formula (`half`), and how much is treated together.

    `pixels` and `inputs` are the largest tiles: their sums and operands fill the registers. `near` are the bytes of
    weights, and `band` the pixels, that stay in the nearest cache; `group` are the images of a block with short rows.
    """

    width: int
    half: int
    pixels: int
    inputs: int
    near: int = 40 << 10
    band: int = 96
    group: int = 28


SIZES = {
    "avx512": Sizes(width=128, half=64, pixels=7, inputs=12),  # 32 registers of 64 bytes
    "avx2": Sizes(width=64, half=32, pixels=6, inputs=6, near=20 << 10),  # 16 registers of 32 bytes
    "plain": Sizes(width=32, half=16, pixels=6, inputs=6, near=20 << 10),  # at least 16 registers of 16 bytes
}


@lru_cache(maxsize=1)
def instruction_set() -> str:
    """Return the row of `SIZES` for the processor that numba compiles for: this one, or that of NUMBA_CPU_NAME.

    The compiler itself is asked: which registers it multiplies sixteen float32 in.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = llvm.get_host_cpu_features().flatten() if name == llvm.get_host_cpu_name() else ""
    machine = llvm.Target.from_default_triple().create_target_machine(cpu=name, features=features)
    code = machine.emit_assembly(llvm.parse_assembly(_PRODUCT))
    return "avx512" if "zmm" in code else "avx2" if "ymm" in code and "vfmadd" in code else "plain"


_PRODUCT = """
declare <16 x float> @llvm.fmuladd.v16f32(<16 x float>, <16 x float>, <16 x float>)
define void @f(ptr %x) {
  %v = load <16 x float>, ptr %x, align 4
  %y = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %v, <16 x float> %v, <16 x float> %v)
  store <16 x float> %y, ptr %x, align 4
  ret void
}
"""
