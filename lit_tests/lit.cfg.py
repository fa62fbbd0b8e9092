# lit configuration: IR, pass and command-line tests.
import os
import shutil
import lit.formats

config.name = "tern"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.tern_binary_dir, "lit_tests")

config.environment["PATH"] = os.pathsep.join(
    [os.path.join(config.tern_binary_dir, "bin"), config.llvm_tools_dir, os.environ["PATH"]]
)
config.substitutions.append(("%model", os.path.join(config.tern_source_dir, "examples/models/tiny-stories-bitnet")))
config.substitutions.append(("%inputs", os.path.join(config.test_source_root, "frontends/Inputs")))
# For emulators, which look for no program.
config.substitutions.append(("%runner", os.path.join(config.tern_binary_dir, "bin/tern-run")))
# Debian's own Python: the one that python3-numpy belongs to.
config.substitutions.append(("%python", "/usr/bin/python3"))
for feature in config.tern_cpu_features:
    config.available_features.add(feature)
if shutil.which("qemu-x86_64"):
    config.available_features.add("qemu-x86_64")
if config.tern_sanitize:
    config.available_features.add("sanitizer")
