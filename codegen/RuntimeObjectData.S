/*===- RuntimeObjectData.S - the bytes of RuntimeObject.h -------------------===*\
|*                                                                            *|
|* Part of Tern, under the Apache License v2.0 with LLVM Exceptions.          *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

    .section .rodata,"a"
    .balign 64
    .globl ternRuntimeObjectBegin
    .hidden ternRuntimeObjectBegin
ternRuntimeObjectBegin:
    .incbin TERN_RUNTIME_OBJECT
    .globl ternRuntimeObjectEnd
    .hidden ternRuntimeObjectEnd
ternRuntimeObjectEnd:
    .byte 0

    .section .note.GNU-stack,"",@progbits
