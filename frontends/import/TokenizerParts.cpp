//===- TokenizerParts.cpp - components of a tokenizer.json ----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/TokenizerParts.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"

#include <utf8proc.h>

#include <cstdlib>

using namespace llvm;

namespace tern::import {

namespace {

using Step = TokenizerModel::Step;

/// What ByteLevel splits by where its use_regex is on: GPT-2's expression.
constexpr StringLiteral kByteLevelExpression =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

constexpr uint64_t kMaxStepText = 1024;

Error tooManySteps(const Json &part) {
  return part.error("expected at most " + Twine(TERN_TOKENIZER_MAX_STEPS) + " components");
}

/// Adds a step; an expression or a text for it comes from the file, so its size is bounded.
Error add(const Json &part, std::vector<Step> &steps, Step step) {
  if (steps.size() == TERN_TOKENIZER_MAX_STEPS)
    return tooManySteps(part);
  steps.push_back(std::move(step));
  return Error::success();
}

Expected<std::string> getText(const Json &part, StringRef key) {
  Expected<StringRef> text = part.getString(key);
  if (!text)
    return text.takeError();
  if (text->size() > kMaxStepText)
    return part.error(key + ": expected at most " + Twine(kMaxStepText) + " bytes, found " +
                      Twine(text->size()));
  return text->str();
}

Expected<std::string> getNonEmpty(const Json &part, StringRef key) {
  Expected<std::string> text = getText(part, key);
  if (text && text->empty())
    return part.error(key + ": expected a text that is not empty");
  return text;
}

/// Reads the parts of a Sequence.
Error readSequence(const Json &part, StringRef key, function_ref<Error(const Json &)> read) {
  Expected<ArrayRef<Json>> parts = part.getArray(key);
  if (!parts)
    return parts.takeError();
  for (const Json &inner : *parts)
    if (Error error = read(inner))
      return error;
  return Error::success();
}

Error unknownType(const Json &part, StringRef what, StringRef type) {
  return part.error("unsupported " + what + " \"" + type + "\"");
}

/// {"String": "a"} -> its text. A Regex is refused.
Expected<std::string> getLiteralPattern(const Json &part) {
  Expected<const Json *> pattern = part.get("pattern");
  if (!pattern)
    return pattern.takeError();
  if ((*pattern)->find("Regex"))
    return (*pattern)->error("unsupported pattern \"Regex\" in a replacement");
  return getNonEmpty(**pattern, "String");
}

Error addReplace(const Json &part, std::vector<Step> &steps) {
  Expected<std::string> from = getLiteralPattern(part);
  if (!from)
    return from.takeError();
  Expected<std::string> to = getText(part, "content");
  if (!to)
    return to.takeError();
  uint64_t growth = 1;
  for (const Step &step : steps)
    if (step.kind == TERN_TOKENIZER_REPLACE)
      growth *= std::max<uint64_t>(1, divideCeil(step.b.size(), step.a.size()));
  if (growth * std::max<uint64_t>(1, divideCeil(to->size(), from->size())) >
      TERN_TOKENIZER_MAX_GROWTH)
    return part.error("the replacements can make a text more than " +
                      Twine(TERN_TOKENIZER_MAX_GROWTH) + " times as long");
  return add(part, steps, {TERN_TOKENIZER_REPLACE, 0, 0, std::move(*from), std::move(*to)});
}

Expected<uint32_t> getBehaviour(const Json &part) {
  Expected<StringRef> name = part.getString("behavior");
  if (!name)
    return name.takeError();
  int behaviour = StringSwitch<int>(*name)
                      .Case("Isolated", TERN_TOKENIZER_ISOLATED)
                      .Case("Removed", TERN_TOKENIZER_REMOVED)
                      .Case("MergedWithPrevious", TERN_TOKENIZER_MERGED_WITH_PREVIOUS)
                      .Case("MergedWithNext", TERN_TOKENIZER_MERGED_WITH_NEXT)
                      .Case("Contiguous", TERN_TOKENIZER_CONTIGUOUS)
                      .Default(-1);
  if (behaviour < 0)
    return part.error("unsupported behavior \"" + *name + "\"");
  return static_cast<uint32_t>(behaviour);
}

Error readSplit(const Json &part, TokenizerModel &model) {
  Expected<const Json *> pattern = part.get("pattern");
  if (!pattern)
    return pattern.takeError();
  Expected<uint32_t> behaviour = getBehaviour(part);
  if (!behaviour)
    return behaviour.takeError();
  Expected<bool> invert = part.getBooleanOr("invert", false);
  if (!invert)
    return invert.takeError();
  Step step = {TERN_TOKENIZER_SPLIT_REGEX, *behaviour, *invert ? 1u : 0u, "", ""};
  Expected<std::string> text = std::string();
  if ((*pattern)->find("Regex")) {
    Expected<StringRef> expression = (*pattern)->getString("Regex");
    if (!expression)
      return expression.takeError();
    text = translateExpression(**pattern, *expression);
  } else {
    step.kind = TERN_TOKENIZER_SPLIT_LITERAL;
    text = getNonEmpty(**pattern, "String");
  }
  if (!text)
    return text.takeError();
  step.a = std::move(*text);
  return add(part, model.split, std::move(step));
}

Error readByteLevel(const Json &part, TokenizerModel &model) {
  if (model.flags & TERN_TOKENIZER_BYTE_LEVEL)
    return part.error("a second ByteLevel");
  Expected<bool> prefix = part.getBoolean("add_prefix_space");
  if (!prefix)
    return prefix.takeError();
  Expected<bool> expression = part.getBooleanOr("use_regex", true);
  if (!expression)
    return expression.takeError();
  if (*prefix)
    if (Error error = add(part, model.split, {TERN_TOKENIZER_PREFIX_SPACE}))
      return error;
  if (*expression) {
    Expected<std::string> translated = translateExpression(part, kByteLevelExpression);
    if (!translated)
      return translated.takeError();
    Step step = {TERN_TOKENIZER_SPLIT_REGEX, TERN_TOKENIZER_ISOLATED, 0, std::move(*translated),
                 ""};
    if (Error error = add(part, model.split, std::move(step)))
      return error;
  }
  model.flags |= TERN_TOKENIZER_BYTE_LEVEL;
  return add(part, model.split, {TERN_TOKENIZER_BYTE_ALPHABET});
}

Error readPreTokenizerPart(const Json &part, TokenizerModel &model) {
  Expected<StringRef> type = part.getString("type");
  if (!type)
    return type.takeError();
  if (*type == "Sequence")
    return readSequence(part, "pretokenizers",
                        [&](const Json &inner) { return readPreTokenizerPart(inner, model); });
  if (*type == "Split")
    return readSplit(part, model);
  if (*type == "ByteLevel")
    return readByteLevel(part, model);
  if (*type == "Digits") {
    Expected<bool> each = part.getBoolean("individual_digits");
    if (!each)
      return each.takeError();
    uint32_t behaviour = *each ? TERN_TOKENIZER_ISOLATED : TERN_TOKENIZER_CONTIGUOUS;
    return add(part, model.split, {TERN_TOKENIZER_SPLIT_DIGITS, behaviour});
  }
  if (*type == "Punctuation") {
    Expected<uint32_t> behaviour = TERN_TOKENIZER_ISOLATED;
    if (part.find("behavior"))
      behaviour = getBehaviour(part);
    if (!behaviour)
      return behaviour.takeError();
    return add(part, model.split, {TERN_TOKENIZER_SPLIT_PUNCTUATION, *behaviour});
  }
  return unknownType(part, "pre-tokenizer", *type);
}

Error readDecoderPart(const Json &part, TokenizerModel &model, bool &fused) {
  Expected<StringRef> type = part.getString("type");
  if (!type)
    return type.takeError();
  bool byteLevel = model.flags & TERN_TOKENIZER_BYTE_LEVEL;
  if (*type == "Sequence")
    return readSequence(part, "decoders",
                        [&](const Json &inner) { return readDecoderPart(inner, model, fused); });
  if (*type == "ByteLevel")
    return byteLevel ? Error::success()
                     : part.error("a ByteLevel decoder without its pre-tokenizer");
  if (byteLevel)
    return part.error("unsupported decoder \"" + *type + "\" beside a ByteLevel pre-tokenizer");
  if (*type == "Fuse") {
    fused = true;
    return Error::success();
  }
  // Steps of the runtime: replacements in each token, bytes, then the start of the joined text.
  bool begun = !model.decode.empty() && model.decode.back().kind != TERN_TOKENIZER_REPLACE;
  if (*type == "Replace")
    return begun || fused ? part.error("unsupported order: Replace behind ByteFallback or Fuse")
                          : addReplace(part, model.decode);
  if (*type == "ByteFallback")
    return begun || fused ? part.error("unsupported order: ByteFallback behind Fuse")
                          : add(part, model.decode, {TERN_TOKENIZER_BYTES});
  if (*type != "Strip")
    return unknownType(part, "decoder", *type);
  if (!fused)
    return part.error("unsupported order: Strip before Fuse");
  Expected<std::string> content = getNonEmpty(part, "content");
  if (!content)
    return content.takeError();
  Expected<int64_t> start = part.getInteger("start", 0, 1 << 20);
  if (!start)
    return start.takeError();
  Expected<int64_t> stop = part.getInteger("stop", 0, 1 << 20);
  if (!stop)
    return stop.takeError();
  if (*stop != 0)
    return part.error("unsupported stop: a streamed text has no end to strip");
  return add(part, model.decode,
             {TERN_TOKENIZER_STRIP, static_cast<uint32_t>(*start), 0, std::move(*content), ""});
}

/// Appends the ids of one special token of a template.
Error addTemplateIds(const Json &part, const Json &token, TokenizerModel &model, bool behind) {
  Expected<StringRef> name = token.getString("id");
  if (!name)
    return name.takeError();
  Expected<const Json *> table = part.get("special_tokens");
  if (!table)
    return table.takeError();
  Expected<const Json *> entry = (*table)->get(*name);
  if (!entry)
    return entry.takeError();
  Expected<ArrayRef<Json>> ids = (*entry)->getArray("ids");
  if (!ids)
    return ids.takeError();
  for (const Json &id : *ids) {
    Expected<int64_t> value = id.integer(0, INT32_MAX);
    if (!value)
      return value.takeError();
    uint64_t index = static_cast<uint64_t>(*value);
    if (index >= model.tokens.size() || !model.tokens[index].known)
      return id.error("no token has the id " + Twine(index));
    std::vector<uint32_t> &ends = behind ? model.suffix : model.prefix;
    if (ends.size() == TERN_TOKENIZER_MAX_STEPS)
      return tooManySteps(id);
    ends.push_back(static_cast<uint32_t>(index));
  }
  return Error::success();
}

Error readTemplate(const Json &part, TokenizerModel &model) {
  Expected<ArrayRef<Json>> single = part.getArray("single");
  if (!single)
    return single.takeError();
  bool behind = false;
  for (const Json &piece : *single) {
    if (const Json *token = piece.find("SpecialToken")) {
      if (Error error = addTemplateIds(part, *token, model, behind))
        return error;
      continue;
    }
    Expected<const Json *> sequence = piece.get("Sequence");
    if (!sequence)
      return sequence.takeError();
    Expected<StringRef> id = (*sequence)->getString("id");
    if (!id)
      return id.takeError();
    if (*id != "A" || std::exchange(behind, true))
      return piece.error("expected the text once, as sequence A");
  }
  if (!behind)
    return part.error("single: expected a Sequence");
  return Error::success();
}

} // namespace

Error readNormalizer(const Json *part, TokenizerModel &model) {
  if (!part)
    return Error::success();
  Expected<StringRef> type = part->getString("type");
  if (!type)
    return type.takeError();
  if (*type == "Sequence")
    return readSequence(*part, "normalizers",
                        [&](const Json &inner) { return readNormalizer(&inner, model); });
  uint32_t form = StringSwitch<uint32_t>(*type)
                      .Case("NFC", TERN_TOKENIZER_NFC)
                      .Case("NFD", TERN_TOKENIZER_NFD)
                      .Case("NFKC", TERN_TOKENIZER_NFKC)
                      .Case("NFKD", TERN_TOKENIZER_NFKD)
                      .Default(0);
  if (form != 0)
    return add(*part, model.normalize, {form});
  if (*type == "Replace")
    return addReplace(*part, model.normalize);
  if (*type != "Prepend")
    return unknownType(*part, "normalizer", *type);
  Expected<std::string> text = getNonEmpty(*part, "prepend");
  if (!text)
    return text.takeError();
  return add(*part, model.normalize, {TERN_TOKENIZER_PREPEND, 0, 0, std::move(*text), ""});
}

Error readPreTokenizer(const Json *part, TokenizerModel &model) {
  if (!part)
    return Error::success();
  if (Error error = readPreTokenizerPart(*part, model))
    return error;
  // Only steps behind it need to see the alphabet.
  if (!model.split.empty() && model.split.back().kind == TERN_TOKENIZER_BYTE_ALPHABET)
    model.split.pop_back();
  return Error::success();
}

Error readDecoder(const Json *part, TokenizerModel &model) {
  if (part) {
    bool fused = false;
    return readDecoderPart(*part, model, fused);
  }
  if (model.flags & TERN_TOKENIZER_BYTE_LEVEL)
    return Error::success();
  return createStringError("expected a decoder, found none");
}

Error readPostProcessor(const Json *part, TokenizerModel &model, bool &hasTemplate) {
  if (!part)
    return Error::success();
  Expected<StringRef> type = part->getString("type");
  if (!type)
    return type.takeError();
  if (*type == "ByteLevel") // moves offsets, which nobody asks for
    return Error::success();
  if (*type == "Sequence")
    return readSequence(*part, "processors", [&](const Json &inner) {
      return readPostProcessor(&inner, model, hasTemplate);
    });
  if (*type != "TemplateProcessing")
    return unknownType(*part, "post-processor", *type);
  if (std::exchange(hasTemplate, true))
    return part->error("a second TemplateProcessing");
  return readTemplate(*part, model);
}

std::string normalized(const TokenizerModel &model, StringRef text) {
  std::string out = text.str();
  for (const Step &step : model.normalize) {
    if (step.kind == TERN_TOKENIZER_PREPEND) {
      out.insert(0, out.empty() ? "" : step.a);
    } else if (step.kind == TERN_TOKENIZER_REPLACE) {
      for (size_t at = 0; (at = out.find(step.a, at)) != std::string::npos; at += step.b.size())
        out.replace(at, step.a.size(), step.b);
    } else {
      bool compose = step.kind == TERN_TOKENIZER_NFC || step.kind == TERN_TOKENIZER_NFKC;
      bool compat = step.kind == TERN_TOKENIZER_NFKC || step.kind == TERN_TOKENIZER_NFKD;
      unsigned options = UTF8PROC_STABLE | (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
                         (compat ? UTF8PROC_COMPAT : 0);
      utf8proc_uint8_t *result = nullptr;
      utf8proc_ssize_t bytes = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(out.data()),
                                            static_cast<utf8proc_ssize_t>(out.size()), &result,
                                            static_cast<utf8proc_option_t>(options));
      if (bytes >= 0)
        out.assign(reinterpret_cast<const char *>(result), static_cast<size_t>(bytes));
      std::free(result);
    }
  }
  return out;
}

} // namespace tern::import
