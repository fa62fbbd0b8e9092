//===- Residency.cpp - which of our memory is really there ----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Residency.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>

using namespace tern;

Residency tern::residencyOf(const void *data, uint64_t bytes) {
  Residency total;
  std::FILE *maps = std::fopen("/proc/self/smaps", "re");
  if (!maps)
    return total;
  const auto first = reinterpret_cast<uintptr_t>(data), last = first + bytes;
  uint64_t inside = 0; // bytes of the current mapping that are asked about
  Residency mapping;
  auto add = [&] {
    total.resident += std::min(inside, mapping.resident);
    total.huge += std::min(inside, mapping.huge);
    mapping = {};
  };
  char line[512];
  while (std::fgets(line, sizeof line, maps)) {
    uintptr_t begin, end;
    uint64_t kilobytes;
    char name[32];
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2) {
      add();
      begin = std::max(begin, first), end = std::min(end, last);
      inside = begin < end ? end - begin : 0;
    } else if (inside && std::sscanf(line, "%31[A-Za-z]: %" SCNu64 " kB", name, &kilobytes) == 2) {
      if (!std::strcmp(name, "Rss"))
        mapping.resident = kilobytes * 1024;
      else if (!std::strcmp(name, "AnonHugePages") || !std::strcmp(name, "FilePmdMapped") ||
               !std::strcmp(name, "ShmemPmdMapped"))
        mapping.huge += kilobytes * 1024;
    }
  }
  add();
  std::fclose(maps);
  return total;
}
