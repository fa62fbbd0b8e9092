//===- Support.cpp - what several verbs share -----------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Support.h"

#include "frontends/cli/IRText.h"
#include "frontends/cli/Tuning.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

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

Expected<tern_model_info_t> modelInfo(const tern_model_t *model) {
  tern_model_info_t info = {};
  info.struct_size = sizeof info;
  if (Error error = checkStatus(tern_model_get_info(model, &info)))
    return error;
  return info;
}

json::Object modelCard(const tern_model_t *model) {
  const char *text = tern_model_card(model);
  auto card = json::parse(text && *text ? text : "{}");
  if (!card) {
    // A card is only shown; a model runs without one.
    consumeError(card.takeError());
    return {};
  }
  json::Object *object = card->getAsObject();
  return object ? std::move(*object) : json::Object();
}

static bool givenMlirFlags = false;

void noteMlirFlags() { givenMlirFlags = true; }

void configurePasses(mlir::PassManager &passes) {
  (void)mlir::applyPassManagerCLOptions(passes);
  mlir::applyDefaultTimingPassManagerCLOptions(passes);
}

import::ImportOptions importOptions(const CheckpointFlags &flags) {
  import::ImportOptions options;
  if (!flags.activations.empty())
    options.activations = StringSwitch<ternary::Activations>(flags.activations)
                              .Case("int8", ternary::Activations::Int8PerToken)
                              .Case("int8-g32", ternary::Activations::Int8Per32)
                              .Case("int8-g64", ternary::Activations::Int8Per64)
                              .Case("int8-g128", ternary::Activations::Int8Per128)
                              .Default(ternary::Activations::Float);
  if (!flags.gate.empty())
    options.gate = flags.gate == "relu2" ? ternary::GateKind::Relu2 : ternary::GateKind::Silu;
  if (flags.layout == "64")
    options.i2sLayout = ternary::Encoding::I2SL64;
  if (flags.layout == "4row")
    options.i2sLayout = ternary::Encoding::I2SL4Row;
  options.cache = StringSwitch<import::CacheElement>(flags.cache)
                      .Case("f16", import::CacheElement::F16)
                      .Case("int8", import::CacheElement::Int8)
                      .Default(import::CacheElement::F32);
  options.head = StringSwitch<import::HeadElement>(flags.head)
                     .Case("f16", import::HeadElement::F16)
                     .Case("bf16", import::HeadElement::BF16)
                     .Case("int8", import::HeadElement::Int8)
                     .Case("q6", import::HeadElement::Q6)
                     .Default(import::HeadElement::Stored);
  return options;
}

std::string headSearch(const CheckpointFlags &flags) {
  const bool search = is_contained({"auto", "full", "two_stage"}, flags.head);
  return search ? flags.head : "auto";
}

static tern_load_t loadMode(StringRef name) {
  return StringSwitch<tern_load_t>(name)
      .Case("map", TERN_LOAD_MAP)
      .Case("copy", TERN_LOAD_COPY)
      .Default(TERN_LOAD_AUTO);
}

Expected<RunningModel> openForRunning(const RunOptions &options) {
  Progress progress;
  OpenOptions open;
  open.import = importOptions(options.checkpoint);
  open.level = options.level;
  open.load = loadMode(options.load);
  if (!options.noCache && !givenMlirFlags)
    open.cache.emplace(ModelCache::userFolder());
  open.compile.packing = options.packing;
  open.compile.probes = options.probes;
  open.compile.head = headSearch(options.checkpoint);
  auto shapes = tunedShapes(options.tuning);
  if (!shapes)
    return shapes.takeError();
  open.compile.shapes = std::move(*shapes);
  open.compile.sparse = options.sparse;
  if (!options.level.empty()) {
    auto targets = parseTargets(options.level);
    if (!targets)
      return targets.takeError();
    open.compile.targets = *targets;
  }
  open.compile.progress = [&](StringRef stage, double fraction) { progress.show(stage, fraction); };
  open.compile.configurePasses = configurePasses;
  auto model = RunningModel::open(options.model, open);
  if (model)
    return model;
  // The runtime's first context is "opening FILE"; our errors begin with the file.
  std::string text = toString(model.takeError());
  StringRef what = text;
  what.consume_front("opening ");
  return makeError(what);
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
      return makeError("expected numbers separated by commas, got '" + part + "' as entry " +
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

bool isIRFile(StringRef path) {
  return is_contained({".mlir", ".mlirbc"}, sys::path::extension(path));
}

static Error refuseUnlessRegular(StringRef path, const sys::fs::file_status &status) {
  if (status.type() == sys::fs::file_type::regular_file)
    return Error::success();
  StringRef kind = "a device or socket";
  if (status.type() == sys::fs::file_type::directory_file)
    kind = "a directory";
  else if (status.type() == sys::fs::file_type::fifo_file)
    kind = "a pipe";
  return makeError(path + ": expected a regular file, got " + kind);
}

Error checkRegularFile(StringRef path) {
  sys::fs::file_status status;
  if (std::error_code code = sys::fs::status(path, status))
    return makeError(path + ": " + code.message());
  return refuseUnlessRegular(path, status);
}

Expected<import::ImportedModel> readIR(mlir::MLIRContext &context, StringRef path) {
  if (Error error = checkRegularFile(path))
    return error;
  std::string text;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    raw_string_ostream out(text);
    if (diagnostic.getSeverity() != mlir::DiagnosticSeverity::Error || !text.empty())
      return;
    if (auto where = dyn_cast<mlir::FileLineColLoc>(diagnostic.getLocation()))
      out << where.getLine() << ':' << where.getColumn() << ": ";
    out << diagnostic;
  });
  auto buffer = MemoryBuffer::getFile(path);
  if (!buffer)
    return makeError(path + ": " + buffer.getError().message());
  if (Error error = checkIRText((*buffer)->getBuffer()))
    return makeError(path + ": " + toString(std::move(error)));
  SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(*buffer), SMLoc());
  import::ImportedModel model;
  model.module = mlir::parseSourceFile<mlir::ModuleOp>(sources, &context);
  if (!model.module)
    return makeError(path + ": " + (text.empty() ? "expected valid IR" : text));
  model.folder = sys::path::parent_path(path).str();
  if (model.folder.empty())
    model.folder = ".";
  return model;
}

Error checkOutput(StringRef path) {
  sys::fs::file_status status;
  // What is wrong with a new path shows when it is written.
  if (path == "-" || path == "/dev/null" || sys::fs::status(path, status))
    return Error::success();
  return refuseUnlessRegular(path, status);
}

Expected<std::string> readTextFile(StringRef path) {
  constexpr size_t kMaxText = size_t(256) << 20, kChunk = size_t(1) << 16;
  sys::fs::file_t file = sys::fs::getStdinHandle();
  if (path != "-") {
    if (Error error = checkRegularFile(path))
      return error;
    auto opened = sys::fs::openNativeFileForRead(path);
    if (!opened)
      return makeError(path + ": " + toString(opened.takeError()));
    file = *opened;
  }
  llvm::scope_exit close([&] {
    if (path != "-")
      sys::fs::closeFile(file);
  });
  std::string text;
  for (;;) {
    size_t have = text.size();
    text.resize(have + kChunk);
    auto count = sys::fs::readNativeFile(file, MutableArrayRef<char>(&text[have], kChunk));
    if (!count)
      return makeError(path + ": " + toString(count.takeError()));
    text.resize(have + *count);
    if (*count == 0)
      return text;
    if (text.size() > kMaxText)
      return makeError(path + ": expected at most " + formatBytes(kMaxText) + " of text");
  }
}

Error writeFile(StringRef path, StringRef bytes) {
  return writeFile(path, [&](raw_ostream &out) {
    out << bytes;
    return Error::success();
  });
}

Error writeFile(StringRef path, function_ref<Error(raw_ostream &)> write) {
  if (path == "-")
    return write(outs());
  if (Error error = checkOutput(path))
    return error;
  // What `write` reports is not about the file.
  bool refused = false;
  Error error = writeToOutput(path, [&](raw_ostream &out) {
    Error failure = write(out);
    refused = static_cast<bool>(failure);
    if (refused)
      return failure;
    // LLVM looks at the stream only after it has renamed the file, and then ends the program.
    auto &file = static_cast<raw_fd_ostream &>(out);
    file.flush();
    std::error_code code = file.error();
    file.clear_error();
    return errorCodeToError(code);
  });
  if (!error || refused)
    return error;
  // LLVM's text begins with the path in quotes.
  std::string text = toString(std::move(error));
  StringRef what = text;
  what.consume_front(("'" + path + "': ").str());
  return makeError(path + ": cannot write: " + what);
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
