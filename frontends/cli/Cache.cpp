//===- Cache.cpp - tern cache ---------------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Support.h"
#include "frontends/cli/Verbs.h"
#include "frontends/jit/ModelCache.h"

#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

using namespace llvm;

namespace tern::cli {

static Error runCache(bool clear) {
  std::string folder = ModelCache::userFolder();
  if (folder.empty())
    return makeError("no cache folder: neither XDG_CACHE_HOME nor HOME is an absolute path");
  ModelCache cache(folder);
  if (clear) {
    outs() << cache.clear() << " compiled models removed from " << folder << '\n';
    return Error::success();
  }
  uint64_t total = 0;
  std::vector<ModelCache::Entry> entries = cache.list();
  for (const ModelCache::Entry &entry : entries) {
    total += entry.bytes;
    outs() << formatBytes(entry.bytes) << "  " << entry.path << '\n';
  }
  outs() << entries.size() << " compiled models, " << formatBytes(total) << ", in " << folder
         << '\n';
  return Error::success();
}

void addCache(CLI::App &app, Action &action) {
  auto clear = std::make_shared<bool>(false);
  CLI::App *verb = app.add_subcommand(
      "cache", "compiled models that make the next run of a checkpoint start fast");
  verb->add_flag("--clear", *clear, "remove them");
  verb->callback([clear, &action] { action = [clear] { return runCache(*clear); }; });
}

} // namespace tern::cli
