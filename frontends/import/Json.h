//===- Json.h - JSON with checked access ------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_JSON_H
#define TERN_FRONTENDS_IMPORT_JSON_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace tern::import {

class JsonDocument;

/// One value of a parsed document. Getters check the type; their errors read
/// "config.json: quantization_config.bits: expected an integer, found a string".
class Json {
public:
  struct Member;
  struct Object {
    std::vector<Member> members;  ///< in file order
    std::vector<uint32_t> sorted; ///< indices of members by key
  };

  Json() = default;
  Json(Json &&) = default;
  Json &operator=(Json &&) = default;

  bool isNull() const { return std::holds_alternative<std::monostate>(value); }
  bool isBoolean() const { return std::holds_alternative<bool>(value); }
  bool isString() const { return std::holds_alternative<std::string>(value); }
  bool isNumber() const { return isInteger() || std::holds_alternative<double>(value); }
  /// Written without fraction and exponent, and within int64 or uint64.
  bool isInteger() const {
    return std::holds_alternative<int64_t>(value) || std::holds_alternative<uint64_t>(value);
  }
  bool isArray() const { return std::holds_alternative<std::vector<Json>>(value); }
  bool isObject() const { return std::holds_alternative<Object>(value); }

  llvm::Expected<bool> boolean() const;
  /// An integer in [least, most].
  llvm::Expected<int64_t> integer(int64_t least = INT64_MIN, int64_t most = INT64_MAX) const;
  llvm::Expected<double> number() const;
  llvm::Expected<llvm::StringRef> string() const;
  llvm::Expected<llvm::ArrayRef<Json>> array() const;
  llvm::Expected<llvm::ArrayRef<Member>> object() const;

  /// The member of that name; null where it is absent, JSON null, or this is no object.
  const Json *find(llvm::StringRef key) const;
  /// The member of that name, which must be there and not null; this must be an object.
  llvm::Expected<const Json *> get(llvm::StringRef key) const;
  llvm::Expected<bool> getBoolean(llvm::StringRef key) const;
  llvm::Expected<int64_t> getInteger(llvm::StringRef key, int64_t least = INT64_MIN,
                                     int64_t most = INT64_MAX) const;
  llvm::Expected<double> getNumber(llvm::StringRef key) const;
  llvm::Expected<llvm::StringRef> getString(llvm::StringRef key) const;
  llvm::Expected<llvm::ArrayRef<Json>> getArray(llvm::StringRef key) const;
  /// The same, with `otherwise` where the member is absent or null.
  llvm::Expected<bool> getBooleanOr(llvm::StringRef key, bool otherwise) const;
  llvm::Expected<int64_t> getIntegerOr(llvm::StringRef key, int64_t otherwise,
                                       int64_t least = INT64_MIN, int64_t most = INT64_MAX) const;
  llvm::Expected<double> getNumberOr(llvm::StringRef key, double otherwise) const;
  llvm::Expected<llvm::StringRef> getStringOr(llvm::StringRef key, llvm::StringRef otherwise) const;

  /// "an integer", "a string", ...
  llvm::StringRef kind() const;
  /// "model.merges[3]"; empty for the root.
  std::string place() const;
  /// file: place: message
  llvm::Error error(const llvm::Twine &message) const;

private:
  friend class JsonDocument;
  friend class JsonBuilder;
  const Member *lookup(llvm::StringRef key) const;
  llvm::Error expected(llvm::StringRef what) const;

  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, std::vector<Json>,
               Object>
      value;
  const Json *parent = nullptr;      ///< null for the root
  const std::string *file = nullptr; ///< set in the root only
};

struct Json::Member {
  std::string key;
  Json value;
};

/// What a JSON text may hold. A value takes about 80 bytes of memory, so their number is bounded
/// too.
struct JsonLimits {
  uint64_t bytes = UINT64_C(1) << 28;
  uint64_t values = UINT64_C(1) << 23;
  uint64_t stringBytes = UINT64_C(1) << 20;
};

/// A whole JSON text. Refuses duplicate keys, more than 64 levels, invalid UTF-8, trailing text and
/// what is beyond the limits; never throws.
class JsonDocument {
public:
  /// `file` is the name that errors begin with.
  static llvm::Expected<JsonDocument> parse(llvm::StringRef file, llvm::StringRef text,
                                            const JsonLimits &limits = {});
  static llvm::Expected<JsonDocument> read(llvm::StringRef path, const JsonLimits &limits = {});

  const Json &root() const { return state->root; }

private:
  struct State {
    std::string file;
    Json root;
  };
  std::unique_ptr<State> state;
};

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_JSON_H
