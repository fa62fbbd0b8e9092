//===- Support.cpp - what several verbs share -----------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Support.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

#include <unistd.h>

using namespace llvm;

namespace tern::cli {

Error makeError(const Twine &text) {
  return createStringError(inconvertibleErrorCode(), "%s", text.str().c_str());
}

double secondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string formatBytes(uint64_t bytes) {
  std::string text;
  raw_string_ostream out(text);
  if (bytes < 1000)
    out << bytes << " B";
  else if (bytes < 1000 * 1000)
    out << format("%.1f kB", bytes / 1e3);
  else
    out << format("%.1f MB", bytes / 1e6);
  return text;
}

//===----------------------------------------------------------------------===//
// Progress
//===----------------------------------------------------------------------===//

Progress::Progress() : terminal(isatty(STDERR_FILENO)), started(std::chrono::steady_clock::now()) {}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (terminal && !stage.empty())
    errs() << "\r\033[K";
  stage.clear();
}

void Progress::show(StringRef what, double fraction) {
  if (!terminal)
    return;
  auto now = std::chrono::steady_clock::now();
  bool sameStage = stage == what;
  if (!sameStage)
    started = now;
  // Ten pictures a second are enough for the eye.
  else if (fraction < 1 && now - drawn < std::chrono::milliseconds(100))
    return;
  drawn = now;
  stage = what.str();
  constexpr int kWidth = 30;
  int filled = static_cast<int>(fraction * kWidth);
  double elapsed = secondsSince(started);
  errs() << "\r\033[K" << format("%-24s [", stage.c_str()) << std::string(filled, '#')
         << std::string(kWidth - filled, '.') << format("] %3.0f %%", fraction * 100);
  if (fraction > 0.02 && fraction < 1 && elapsed > 1)
    errs() << format("  %.0f s left", elapsed * (1 - fraction) / fraction);
  errs().flush();
}

//===----------------------------------------------------------------------===//
// Models and sessions
//===----------------------------------------------------------------------===//

Expected<Session> makeSession(tern_model_t *model, uint32_t threads, uint32_t positions) {
  tern_session_options_t options = {};
  options.struct_size = sizeof options;
  options.threads = threads;
  options.positions = positions;
  tern_session_t *session = nullptr;
  if (Error error = checkStatus(tern_session_create(model, &options, &session)))
    return error;
  return Session(session);
}

void addCheckpointFlags(CLI::App &verb, CheckpointFlags &flags) {
  verb.add_option("--activations", flags.activations,
                  "of linear layers: int8 or float; default: as the model was trained")
      ->check(CLI::IsMember({"int8", "float"}));
  verb.add_option("--gate", flags.gate, "gate function: relu2 or silu; default: as the file says")
      ->check(CLI::IsMember({"relu2", "silu"}));
  verb.add_option("--i2s-layout", flags.layout,
                  "of I2_S tensors in GGUF: 128 (published files), 64 or 4row")
      ->check(CLI::IsMember({"128", "64", "4row"}));
}

import::ImportOptions importOptions(const CheckpointFlags &flags) {
  import::ImportOptions options;
  if (!flags.activations.empty())
    options.activations = flags.activations == "int8" ? ternary::Activations::Int8PerToken
                                                      : ternary::Activations::Float;
  if (!flags.gate.empty())
    options.gate = flags.gate == "relu2" ? ternary::GateKind::Relu2 : ternary::GateKind::Silu;
  if (flags.layout == "64")
    options.i2sLayout = ternary::Encoding::I2SL64;
  if (flags.layout == "4row")
    options.i2sLayout = ternary::Encoding::I2SL4Row;
  return options;
}

Expected<RunningModel> openForRunning(const RunOptions &options) {
  Progress progress;
  OpenOptions open;
  open.import = importOptions(options.checkpoint);
  open.level = options.level;
  if (!options.level.empty()) {
    auto targets = parseTargets(options.level);
    if (!targets)
      return targets.takeError();
    open.compile.targets = *targets;
  }
  open.compile.progress = [&](StringRef stage, double fraction) { progress.show(stage, fraction); };
  open.compile.configurePasses = [](mlir::PassManager &passes) {
    (void)mlir::applyPassManagerCLOptions(passes);
  };
  return RunningModel::open(options.model, open);
}

//===----------------------------------------------------------------------===//
// Ids and text
//===----------------------------------------------------------------------===//

Expected<std::vector<int32_t>> parseIds(StringRef text) {
  std::vector<int32_t> ids;
  SmallVector<StringRef> parts;
  text.split(parts, ',');
  if (text.trim().empty())
    return ids;
  for (auto [index, part] : enumerate(parts)) {
    int32_t id = 0;
    if (part.trim().getAsInteger(10, id) || id < 0)
      return makeError("--ids: expected numbers separated by commas, got '" + part + "' as entry " +
                       Twine(index + 1));
    ids.push_back(id);
  }
  return ids;
}

Expected<std::vector<int32_t>> tokenize(const tern_model_t *model, StringRef text, uint32_t flags) {
  size_t count = 0;
  // A token is at least a byte, beside BOS, EOS and a prefix that the tokenizer may add.
  std::vector<int32_t> ids(text.size() + 16);
  if (Error error = checkStatus(
          tern_tokenize(model, text.data(), text.size(), flags, ids.data(), ids.size(), &count)))
    return error;
  if (count > ids.size()) {
    ids.resize(count);
    if (Error error = checkStatus(
            tern_tokenize(model, text.data(), text.size(), flags, ids.data(), ids.size(), &count)))
      return error;
  }
  ids.resize(count);
  return ids;
}

Expected<std::string> detokenize(const tern_model_t *model, ArrayRef<int32_t> ids,
                                 bool skipSpecial) {
  size_t bytes = 0;
  if (Error error = checkStatus(
          tern_detokenize(model, ids.data(), ids.size(), skipSpecial, nullptr, 0, &bytes)))
    return error;
  std::string text(bytes, '\0');
  if (Error error = checkStatus(tern_detokenize(model, ids.data(), ids.size(), skipSpecial,
                                                text.data(), text.size(), &bytes)))
    return error;
  return text;
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

Expected<std::string> readTextFile(StringRef path) {
  auto buffer = MemoryBuffer::getFileOrSTDIN(path);
  if (!buffer)
    return makeError(path + ": " + buffer.getError().message());
  return (*buffer)->getBuffer().str();
}

Error writeFile(StringRef path, StringRef bytes) {
  if (Error error = writeToOutput(path, [&](raw_ostream &out) {
        out << bytes;
        return Error::success();
      }))
    return makeError(path + ": " + toString(std::move(error)));
  return Error::success();
}

std::string npyBytes(ArrayRef<int64_t> shape, ArrayRef<float> values) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (int64_t size : shape)
    header += std::to_string(size) + ", ";
  header += "), }";
  // Magic, version and length take 10 bytes; the data begin at a multiple of 64.
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float));
  return bytes;
}

} // namespace tern::cli
