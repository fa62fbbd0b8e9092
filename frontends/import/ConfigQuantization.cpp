//===- ConfigQuantization.cpp - how a config.json says weights are stored -===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/ConfigParts.h"
#include "frontends/import/families/Family.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace tern::import {

static Expected<WeightForm> readForm(const Json &quantization) {
  Expected<ArrayRef<Json::Member>> members = quantization.object();
  if (!members)
    return members.takeError();
  for (const Json::Member &member : *members)
    if (!is_contained({"quant_method", "linear_class", "quantization_mode",
                       "modules_to_not_convert", "use_rms_norm", "rms_norm_eps"},
                      member.key))
      return member.value.error("unknown key: what it would change is not known");
  Expected<StringRef> method = quantization.getString("quant_method");
  if (!method)
    return method.takeError();
  if (*method != "bitnet")
    return quantization.find("quant_method")
        ->error("expected \"bitnet\", found \"" + *method + "\"");
  Expected<StringRef> linear = quantization.getStringOr("linear_class", "bitlinear");
  if (!linear)
    return linear.takeError();
  if (*linear != "bitlinear" && *linear != "autobitlinear")
    return quantization.find("linear_class")
        ->error("expected \"bitlinear\" or \"autobitlinear\", found \"" + *linear + "\"");
  Expected<StringRef> mode = quantization.getStringOr("quantization_mode", "offline");
  if (!mode)
    return mode.takeError();
  if (*mode != "offline" && *mode != "online")
    return quantization.find("quantization_mode")
        ->error("expected \"offline\" or \"online\", found \"" + *mode + "\"");
  if (*mode == "offline")
    return *linear == "bitlinear" ? WeightForm::Divide : WeightForm::Multiply;
  if (*linear == "bitlinear")
    return quantization.find("quantization_mode")
        ->error("\"online\" goes with linear_class \"autobitlinear\", found \"bitlinear\"");
  return WeightForm::Masters;
}

static Error refuseQuantizationOptions(const Json &quantization) {
  Expected<bool> norm = quantization.getBooleanOr("use_rms_norm", false);
  if (!norm)
    return norm.takeError();
  if (*norm)
    return quantization.find("use_rms_norm")
        ->error("expected false: a norm inside each linear layer is not supported");
  const Json *excluded = quantization.find("modules_to_not_convert");
  if (!excluded)
    return Error::success();
  Expected<ArrayRef<Json>> modules = excluded->array();
  if (!modules)
    return modules.takeError();
  for (const Json &module : *modules) {
    Expected<StringRef> name = module.string();
    if (!name)
      return name.takeError();
    // These are never ternary anyway.
    if (*name != "lm_head" && *name != "embed_tokens" && *name != "model.embed_tokens")
      return module.error("linear layers left in float (\"" + *name + "\") are not supported");
  }
  return Error::success();
}

/// MLX writes the same object as `quantization` and as `quantization_config`.
static Error readMlx(const Json &quantization, Config &config) {
  Expected<ArrayRef<Json::Member>> members = quantization.object();
  if (!members)
    return members.takeError();
  for (const auto &member : *members)
    if (!is_contained({"group_size", "bits", "mode"}, member.key))
      return member.value.error("unknown key: what it would change is not known");
  if (Expected<int64_t> bits = quantization.getInteger("bits", 2, 2); !bits)
    return bits.takeError();
  Expected<StringRef> mode = quantization.getStringOr("mode", "affine");
  if (!mode)
    return mode.takeError();
  if (*mode != "affine")
    return quantization.find("mode")->error("expected \"affine\", found \"" + *mode + "\"");
  Expected<int64_t> group = quantization.getInteger("group_size", 1, limits::kWidth);
  if (!group)
    return group.takeError();
  if (!is_contained({32, 64, 128}, *group))
    return quantization.find("group_size")->error("expected 32, 64 or 128, found " + Twine(*group));
  config.form = WeightForm::Mlx;
  config.mlxGroup = *group;
  return Error::success();
}

Error readQuantization(const Json &root, Config &config) {
  if (const Json *mlx = root.find("quantization"))
    return readMlx(*mlx, config);
  const Json *quantization = root.find("quantization_config");
  if (!quantization) {
    if (!config.family->formWithoutQuantization)
      return Error::success();
    Expected<WeightForm> form = config.family->formWithoutQuantization(root);
    if (!form)
      return form.takeError();
    config.form = *form;
    return Error::success();
  }
  Expected<WeightForm> form = readForm(*quantization);
  if (!form)
    return form.takeError();
  config.form = *form;
  return refuseQuantizationOptions(*quantization);
}

} // namespace tern::import
