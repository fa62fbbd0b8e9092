//===- Convert.cpp - tern convert -----------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/convert/Convert.h"

#include "frontends/cli/Options.h"
#include "frontends/cli/Support.h"
#include "frontends/cli/Verbs.h"

#include <CLI/CLI.hpp>

using namespace llvm;

namespace tern::cli {

namespace {
struct ConvertFlags {
  std::string in, out, type;
  CheckpointFlags checkpoint;
  bool roundScales = false;
};
} // namespace

static Error runConvert(const ConvertFlags &flags) {
  bool file = StringRef(flags.out).ends_with_insensitive(".gguf");
  std::string type = !flags.type.empty() ? flags.type : file ? "i2_s" : "hf";
  if (file == (type == "hf"))
    return makeError(
        flags.out + ": --type " + type + " writes a " +
        (file ? "folder, whose name does not end with .gguf" : "file whose name ends with .gguf"));
  convert::Options options;
  options.roundScales = flags.roundScales;
  options.target = type == "tq1_0"   ? convert::Target::TQ1_0
                   : type == "tq2_0" ? convert::Target::TQ2_0
                   : type == "i2_s"  ? convert::Target::I2S
                                     : convert::Target::HuggingFace;
  mlir::DialectRegistry registry;
  registerCompilerDialects(registry);
  mlir::MLIRContext context(registry);
  if (Error error = options.target == convert::Target::HuggingFace ? Error::success()
                                                                   : checkOutput(flags.out))
    return error;
  auto model = import::importModel(context, flags.in, importOptions(flags.checkpoint));
  if (!model)
    return model.takeError();
  auto notes = convert::convertModel(*model, flags.in, flags.out, options);
  if (!notes)
    return makeError(flags.in + " to " + flags.out + ": " + toString(notes.takeError()));
  for (const std::string &note : *notes)
    errs() << "tern: note: " << flags.out << ": " << note << '\n';
  return Error::success();
}

void addConvert(CLI::App &app, Action &action) {
  auto flags = std::make_shared<ConvertFlags>();
  CLI::App *verb = app.add_subcommand("convert", "write a model as GGUF or as a packed folder");
  verb->add_option("in", flags->in, "checkpoint")->required();
  verb->add_option("out", flags->out, "NAME.gguf, or a new folder")->required();
  verb->add_option("--type", flags->type,
                   "tq2_0, tq1_0 or i2_s (GGUF), or hf (a folder); else i2_s or hf by the name")
      ->check(CLI::IsMember({"tq2_0", "tq1_0", "i2_s", "hf"}));
  verb->add_flag("--round-scales", flags->roundScales,
                 "round scales that tq2_0 and tq1_0 cannot hold exactly");
  addCheckpointFlags(*verb, flags->checkpoint);
  verb->callback([flags, &action] { action = [flags] { return runConvert(*flags); }; });
}

} // namespace tern::cli
