//===- LowerProbes.cpp - code that says what a thread begins --------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/Lowering.h"
#include "codegen/Probes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tern/abi.h"

#include <cstddef>

using namespace mlir;
using namespace tern;

void FunctionLowering::probe(Value what, Value rows) {
  if (!probeNumber(source))
    return;
  Value function = b.load(b.ptr(), frame, offsetof(tern_frame_t, probe));
  Value none = LLVM::ZeroOp::create(b, b.ptr());
  Value asked = LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::ne, function, none);
  auto branch = scf::IfOp::create(b, asked, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&branch.getThenRegion().front());
  Value context = b.load(b.ptr(), frame, offsetof(tern_frame_t, probe_context));
  Value number = arith::TruncIOp::create(b, b.getI32Type(), what);
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()),
                                  {b.ptr(), b.getI32Type(), b.getI32Type(), b.getI64Type()});
  LLVM::CallOp::create(b, type, ValueRange{function, context, thread, number, rows});
}

void FunctionLowering::probe(uint32_t what) {
  if (!probeNumber(source))
    return;
  probe(b.i64(what), b.load(b.getI64Type(), frame, offsetof(tern_frame_t, rows)));
}

void FunctionLowering::probeOp() {
  std::optional<uint32_t> number = probeNumber(current);
  if (!number)
    return;
  for (Value value : llvm::concat<Value>(SmallVector<Value>(current->getResults()),
                                         SmallVector<Value>(current->getOperands()))) {
    auto place = places.find(value);
    if (place != places.end() && place->second.rows)
      return probe(b.i64(*number), place->second.rows);
  }
  probe(*number);
}
