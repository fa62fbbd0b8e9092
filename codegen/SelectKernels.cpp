//===- SelectKernels.cpp - which kernels run a product -------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/CodegenPasses.h"
#include "codegen/KernelTable.h"
#include "codegen/Lowering.h"
#include "dialect/HeadScreen.h"
#include "dialect/Product.h"

using namespace mlir;

namespace tern {

#define GEN_PASS_DEF_SELECTKERNELS
#include "codegen/CodegenPasses.h.inc"

FailureOr<Target> targetOf(Operation *op, const std::string &option) {
  llvm::Expected<std::vector<Target>> targets = parseTargets(option);
  if (!targets)
    return op->emitError(llvm::toString(targets.takeError()));
  if (targets->size() != 1)
    return op->emitError("expected one target, got ") << targets->size() << ": " << option;
  return targets->front();
}

namespace {

class SelectKernels : public impl::SelectKernelsBase<SelectKernels> {
public:
  using SelectKernelsBase::SelectKernelsBase;

  void runOnOperation() override {
    FailureOr<Target> parsed = targetOf(getOperation(), target);
    if (failed(parsed))
      return signalPassFailure();
    WalkResult result = getOperation().walk([&](Operation *op) {
      ternary::Product product(op);
      LogicalResult selected = product ? select(product, *parsed) : success();
      if (auto head = dyn_cast<ternary::HeadOp>(op); head && head.integers())
        selectHead(head, *parsed);
      return succeeded(selected) ? WalkResult::advance() : WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

private:
  static LogicalResult select(ternary::Product op, const Target &target);
  static void selectHead(ternary::HeadOp op, const Target &target);
};

/// Every row of a head's input is two rows of integers, so that products are always of several
/// rows. Every level has kernels for those.
void SelectKernels::selectHead(ternary::HeadOp op, const Target &target) {
  auto type = cast<RankedTensorType>(op.integers().getType());
  const HeadScreen screen{cast<ternary::ScreenAttr>(type.getEncoding()).getBits()};
  SmallVector<Attribute> names;
  for (int64_t part = 0; part < screen.parts(); ++part) {
    const KernelRow *row = selectKernel(target, screen.packing(part), Acts::Int8, /*gemv=*/false);
    assert(row && "a level without a gemm kernel of its own and without the portable one");
    names.push_back(StringAttr::get(op.getContext(), row->name));
  }
  op->setAttr(kHeadKernels, ArrayAttr::get(op.getContext(), names));
}

LogicalResult SelectKernels::select(ternary::Product op, const Target &target) {
  RankedTensorType type = op.weightType();
  auto encoding = dyn_cast_or_null<ternary::PackingAttr>(type.getEncoding());
  if (!encoding)
    return op->emitOpError("expected a packed weight, got ")
           << type << "; run ternary-choose-packing first";
  if (op.gate() && encoding.getKind() != ternary::PackingKind::TwoBitRows)
    return op->emitOpError("expected two_bit_rows for a product with a gate, got ") << encoding;
  const Packing packing{static_cast<Packing::Kind>(encoding.getKind()), encoding.getRows(),
                        encoding.getK()};
  std::string chosen, refused;
  for (bool gemv : {true, false}) {
    std::string why;
    const Acts acts = op.takesFloats() ? Acts::Float
                      : op.actGroups() ? Acts::Int8Groups
                                       : Acts::Int8;
    const KernelRow *row = selectKernel(target, packing, acts, gemv, &why);
    if (!row)
      return op->emitOpError("no ") << (gemv ? "gemv" : "gemm") << " kernel for " << encoding
                                    << " on " << target.name << (why.empty() ? "" : ": ") << why;
    StringRef which = gemv ? "gemv" : "gemm";
    op->setAttr(gemv ? "ternary.gemv" : "ternary.gemm",
                StringAttr::get(op->getContext(), row->name));
    chosen += (chosen.empty() ? "" : ", ") + which.str() + " " + row->name;
    if (!why.empty())
      refused += (refused.empty() ? "" : ", ") + why;
  }
  InFlightDiagnostic remark = op->emitRemark();
  remark << type.getDimSize(0) << "x" << type.getDimSize(1) << " " << encoding << " on "
         << target.name << ": " << chosen;
  if (!refused.empty())
    remark << "; refused: " << refused;
  return success();
}

} // namespace

} // namespace tern
