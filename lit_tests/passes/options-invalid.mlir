// Options out of range.
// RUN: not tern-opt %s --ternary-choose-packing=rows=65 2>&1 | FileCheck %s --check-prefix=ROWS
// RUN: not tern-opt %s --ternary-merge-linears=segment-rows=0 2>&1 | FileCheck %s --check-prefix=SEGMENT
// RUN: not tern-opt %s --ternary-plan-memory=max-rows=0 2>&1 | FileCheck %s --check-prefix=MAX
// ROWS: expected packing rows of 1 to 64, got 65
// SEGMENT: expected segment-rows of at least 1, got 0
// MAX: expected max-rows of 1 to 1048576, got 0
module {}
