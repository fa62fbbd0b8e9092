/*===- ModelHeaderData.S - the text of the runtime's public headers ---------===*\
|*                                                                            *|
|* Part of Tern, under the Apache License v2.0 with LLVM Exceptions.          *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

    .section .rodata,"a"
    .globl ternAbiHeaderBegin, ternAbiHeaderEnd, ternHeaderBegin, ternHeaderEnd
    .hidden ternAbiHeaderBegin, ternAbiHeaderEnd, ternHeaderBegin, ternHeaderEnd
ternAbiHeaderBegin:
    .incbin TERN_ABI_HEADER
ternAbiHeaderEnd:
    .byte 0
ternHeaderBegin:
    .incbin TERN_HEADER
ternHeaderEnd:
    .byte 0

    .section .note.GNU-stack,"",@progbits
