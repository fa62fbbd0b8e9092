//===- RandomModules.h - seeded modules at the import stage -----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_RANDOMMODULES_H
#define TERN_TESTS_SUPPORT_RANDOMMODULES_H

#include <cstdint>
#include <string>

namespace tern::test {

/// Module text for a seed: odd shapes, scales per tensor, row and k-group, loaded trits and float
/// masters quantized online. All weights are `random`, so no file is needed.

/// A chain of linears, norms, gates and residuals, weights loaded where they are used:
/// `@main(%x: tensor<?xKxf32>) -> tensor<?xNxf32>`, the entry.
std::string randomMlp(uint64_t seed);

/// Decoder blocks with attention, as frontends/import makes them: `@forward(%ids: tensor<?xi32>,
/// %position: index, %wanted: index, one cache a layer) -> tensor<?xVxf32>`, the entry, which calls
/// `@block` once a layer. Shapes do not depend on `layers`.
std::string randomDecoder(uint64_t seed, int64_t layers);

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_RANDOMMODULES_H
