//===- Convert.cpp - models to GGUF files and Hugging Face folders --------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/convert/Convert.h"

#include "frontends/convert/Matrices.h"
#include "frontends/convert/Writers.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace llvm;

namespace tern::convert {

/// Bytes of a table in flight.
static constexpr uint64_t kChunkBytes = uint64_t(1) << 20;

Expected<OutTensor> floatTensor(const Source &source, StringRef weight, std::string name) {
  Expected<WeightReader> made = source.reader(weight);
  if (!made)
    return made.takeError();
  auto reader = std::make_shared<WeightReader>(std::move(*made));
  OutTensor tensor;
  tensor.name = std::move(name);
  tensor.shape = source.shape(weight).vec();
  mlir::Type element = source.element(weight);
  uint64_t width = 4;
  tensor.dtype = "F32", tensor.type = 0;
  if (element.isBF16())
    tensor.dtype = "BF16", tensor.type = 30, width = 2;
  else if (element.isF16())
    tensor.dtype = "F16", tensor.type = 1, width = 2;
  uint64_t rowBytes = static_cast<uint64_t>(reader->columns()) * width;
  tensor.bytes = static_cast<uint64_t>(reader->rows()) * rowBytes;
  const WeightFiles *files = &source.files;
  tensor.write = [reader, rowBytes, files](raw_ostream &out) -> Error {
    int64_t step = static_cast<int64_t>(std::max<uint64_t>(1, kChunkBytes / rowBytes));
    std::vector<char> bytes(step * rowBytes);
    for (int64_t row = 0; row < reader->rows(); row += step) {
      int64_t count = std::min(step, reader->rows() - row);
      if (Error error = reader->readRaw(row, count, bytes.data()))
        return error;
      out.write(bytes.data(), count * rowBytes);
      files->release();
    }
    return Error::success();
  };
  return tensor;
}

Error writeTensor(const Source &source, const OutTensor &tensor, raw_ostream &out) {
  uint64_t begin = out.tell();
  Error error = tensor.write(out);
  source.files.release();
  assert((error || out.tell() - begin == tensor.bytes) &&
         "the header says where the next tensor is");
  (void)begin;
  return error;
}

Error writeOutput(StringRef path, function_ref<Error(raw_ostream &)> write) {
  return writeToOutput(path, [&](raw_ostream &out) -> Error {
    Error failure = write(out);
    // LLVM looks at the stream only after it has renamed the file, and then ends the program.
    auto &file = static_cast<raw_fd_ostream &>(out);
    file.flush();
    std::error_code code = file.error();
    file.clear_error();
    if (failure || !code)
      return failure;
    return createStringError(code, path + ": cannot write: " + code.message());
  });
}

Expected<std::vector<float>> ropeDivisors(const Source &source, const import::Config &stated) {
  std::vector<float> base = import::ropeFrequencies(stated);
  if (base == source.frequencies)
    return std::vector<float>();
  std::vector<float> divisors;
  for (auto [from, to] : zip_equal(base, source.frequencies)) {
    // The quotient may be one step off what gives the very frequency.
    float divisor = from / to;
    for (float other : {divisor, std::nextafter(divisor, 0.0f), std::nextafter(divisor, INFINITY)})
      if (from / other == to)
        divisor = other;
    if (from / divisor != to || !(divisor > 0) || !std::isnormal(divisor))
      return createStringError("no float32 divides the rotary frequency of pair " +
                               Twine(divisors.size()) + " to what it is");
    divisors.push_back(divisor);
  }
  return divisors;
}

static Extras readExtras(const import::ImportedModel &model, const json::Object &card,
                         StringRef in) {
  Extras extras;
  extras.in = in;
  extras.tokenizerBlob = model.tokenizerBlob;
  extras.chatTemplate = card.getString("chat_template").value_or("").str();
  extras.licence = card.getString("licence").value_or("").str();
  extras.name = sys::path::stem(in.rtrim('/')).str();
  if (const json::Object *tokens = card.getObject("tokens")) {
    if (auto bos = tokens->getInteger("bos"))
      extras.bos = *bos;
    if (const json::Array *eos = tokens->getArray("eos"))
      for (const json::Value &id : *eos)
        extras.eos.push_back(id.getAsInteger().value_or(0));
  }
  const json::Object *generation = card.getObject("generation");
  extras.samples = generation && !generation->empty();
  return extras;
}

Expected<std::vector<std::string>> convertModel(import::ImportedModel &model, StringRef in,
                                                StringRef out, const Options &options) {
  Expected<json::Value> card = json::parse(model.card);
  if (!card)
    return card.takeError();
  const json::Object *object = card->getAsObject();
  Expected<Source> source = Source::open(model, object ? *object : json::Object());
  if (!source)
    return source.takeError();
  Extras extras = readExtras(model, *object, in);
  Error error = options.target == Target::HuggingFace ? writeHuggingFace(*source, extras, out)
                                                      : writeGguf(*source, extras, options, out);
  if (error)
    return std::move(error);
  return std::move(extras.notes);
}

} // namespace tern::convert
