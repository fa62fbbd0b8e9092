//===- Logits.cpp - tern logits -------------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Support.h"
#include "frontends/cli/Verbs.h"

#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

using namespace llvm;

namespace tern::cli {

namespace {
struct LogitsFlags {
  RunOptions run;
  std::string ids, output;
  bool all = false;
};
} // namespace

static Error runLogits(const LogitsFlags &flags) {
  auto ids = parseIds(flags.ids);
  if (!ids)
    return ids.takeError();
  if (ids->empty())
    return makeError("--ids: expected at least one id");
  auto model = openForRunning(flags.run);
  if (!model)
    return model.takeError();
  auto session = makeSession(model->get(), flags.run.threads, ids->size());
  if (!session)
    return session.takeError();
  tern_model_info_t info = {};
  info.struct_size = sizeof info;
  if (Error error = checkStatus(tern_model_get_info(model->get(), &info)))
    return error;

  std::vector<float> logits;
  if (flags.all) {
    logits.resize(ids->size() * static_cast<size_t>(info.vocabulary));
    if (Error error = checkStatus(tern_prefill_logits(session->get(), ids->data(), ids->size(),
                                                      logits.data(), logits.size())))
      return error;
  } else {
    const float *last = nullptr;
    size_t count = 0;
    if (Error error = checkStatus(tern_prefill(session->get(), ids->data(), ids->size())))
      return error;
    if (Error error = checkStatus(tern_session_logits(session->get(), &last, &count)))
      return error;
    logits.assign(last, last + count);
  }
  int64_t rows = flags.all ? ids->size() : 1;
  return writeFile(flags.output, npyBytes({rows, info.vocabulary}, logits));
}

void addLogits(CLI::App &app, Action &action) {
  auto flags = std::make_shared<LogitsFlags>();
  CLI::App *verb = app.add_subcommand("logits", "write a model's logits as a NumPy file");
  verb->add_option("model", flags->run.model, "checkpoint or library")->required();
  verb->add_option("--ids", flags->ids, "token ids: 1,2,3")->required();
  verb->add_flag("--all", flags->all, "of every position, not only the last");
  verb->add_option("-o,--output", flags->output, "the .npy file: float32 [tokens, vocabulary]")
      ->required();
  verb->add_option("--threads", flags->run.threads, "0: one a core")->check(CLI::Range(0, 256));
  verb->add_option("--level", flags->run.level, "force a CPU level, such as x86-64-v3");
  addCheckpointFlags(*verb, flags->run.checkpoint);
  verb->callback([flags, &action] { action = [flags] { return runLogits(*flags); }; });
}

} // namespace tern::cli
