//===- ObjC.h - Objective-C messages from plain C++ -------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Metal is found at run time, as libraries of the system: nothing of Apple's is needed to build,
// and the same code is there, and tested, on every system.
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_METAL_OBJC_H
#define TERN_RUNTIME_METAL_OBJC_H

#include <cstdint>
#include <utility>

namespace tern::metal {

using Id = void *;       ///< an object or a class
using Selector = void *; ///< a method's name

/// The functions all else is reached through, by their names in Apple's libraries.
struct Api {
  Id (*objc_getClass)(const char *name);
  Id (*object_getClass)(Id object);
  Selector (*sel_registerName)(const char *name);
  void *(*class_getMethodImplementation)(Id type, Selector method);
  void *(*objc_autoreleasePoolPush)();
  void (*objc_autoreleasePoolPop)(void *pool);
  Id (*MTLCreateSystemDefaultDevice)();
};

/// Null where there is no Metal.
const Api *api();
/// Another implementation from now on; null: the system's again. Not while models are open.
void setApi(const Api *other);

/// [target method: arguments...]. Objects of all classes are one type here, so no sanitizer may
/// compare it with a method's own.
#if defined(__clang__)
#define TERN_ANY_METHOD [[clang::no_sanitize("function")]]
#else
#define TERN_ANY_METHOD
#endif
template <typename Result = Id, typename... Arguments>
TERN_ANY_METHOD Result send(Id target, const char *method, Arguments... arguments) {
  const Api &objc = *api();
  Selector selector = objc.sel_registerName(method);
  void *code = objc.class_getMethodImplementation(objc.object_getClass(target), selector);
  return reinterpret_cast<Result (*)(Id, Selector, Arguments...)>(code)(target, selector,
                                                                        arguments...);
}

/// An object we own: methods that begin with new, alloc or copy give one.
class Object {
public:
  Object() = default;
  explicit Object(Id owned) : id(owned) {}
  Object(Object &&other) noexcept : id(std::exchange(other.id, nullptr)) {}
  Object &operator=(Object &&other) noexcept {
    std::swap(id, other.id);
    return *this;
  }
  ~Object() {
    if (id)
      send<void>(id, "release");
  }
  Id get() const { return id; }
  explicit operator bool() const { return id; }

private:
  Id id = nullptr;
};

/// What other methods give lives until the pool they were called in ends.
class Pool {
public:
  Pool() : pool(api()->objc_autoreleasePoolPush()) {}
  ~Pool() { api()->objc_autoreleasePoolPop(pool); }
  Pool(const Pool &) = delete;

private:
  void *pool;
};

/// MTLSize.
struct Size {
  uint64_t width, height, depth;
};

} // namespace tern::metal

#endif // TERN_RUNTIME_METAL_OBJC_H
