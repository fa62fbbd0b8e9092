/*===- bitcode.S - the row kernels of every level as bytes ------------------===*\
|*                                                                            *|
|* Part of Tern, under the Apache License v2.0 with LLVM Exceptions.          *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

  .macro embed symbol, file
  .globl \symbol, \symbol\()_end
  .hidden \symbol
  .hidden \symbol\()_end
  .balign 16
\symbol:
  .incbin "\file"
\symbol\()_end:
  .byte 0
  .endm

  .section .rodata
  embed tern_halide_x86_64_v4, "x86-64-v4.bc"
  embed tern_halide_x86_64_v3, "x86-64-v3.bc"
  embed tern_halide_x86_64, "x86-64.bc"
  embed tern_halide_aarch64, "aarch64.bc"
  .section .note.GNU-stack, "", @progbits
