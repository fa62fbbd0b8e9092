//===- ObjC.cpp - Objective-C messages from plain C++ ---------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/metal/ObjC.h"

#include <dlfcn.h>

namespace tern::metal {

static const Api *replacement;

void setApi(const Api *other) { replacement = other; }

template <typename Function> static bool find(void *library, const char *name, Function **out) {
  *out = library ? reinterpret_cast<Function *>(dlsym(library, name)) : nullptr;
  return *out;
}

/// Null when a library or a function is missing.
static const Api *systemApi() {
  static Api found;
  void *objc = dlopen("/usr/lib/libobjc.A.dylib", RTLD_NOW | RTLD_LOCAL);
  // Without Core Graphics a program that has no window gets no default device.
  if (!objc || !dlopen("/System/Library/Frameworks/CoreGraphics.framework/CoreGraphics",
                       RTLD_NOW | RTLD_LOCAL))
    return nullptr;
  void *metal = dlopen("/System/Library/Frameworks/Metal.framework/Metal", RTLD_NOW | RTLD_LOCAL);
  bool all = find(objc, "objc_getClass", &found.objc_getClass) &&
             find(objc, "object_getClass", &found.object_getClass) &&
             find(objc, "sel_registerName", &found.sel_registerName) &&
             find(objc, "class_getMethodImplementation", &found.class_getMethodImplementation) &&
             find(objc, "objc_autoreleasePoolPush", &found.objc_autoreleasePoolPush) &&
             find(objc, "objc_autoreleasePoolPop", &found.objc_autoreleasePoolPop) &&
             find(metal, "MTLCreateSystemDefaultDevice", &found.MTLCreateSystemDefaultDevice);
  return all ? &found : nullptr;
}

const Api *api() {
  if (replacement)
    return replacement;
  static const Api *const system = systemApi();
  return system;
}

} // namespace tern::metal
