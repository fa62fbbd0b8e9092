"""usage: vocabulary_gguf.py FILE: writes a GGUF file that has a vocabulary and no tensors."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "tests", "reference"))
import containers  # noqa: E402

tokens = ["a", "b", "c", "ab", "abc", "\u0120", "\u0120a", "<|begin|>", "<|eot_id|>"]
containers.write_gguf(sys.argv[1], {
    "general.architecture": "llama", "general.name": "a vocabulary",
    "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "llama-bpe", "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.token_type": [3 if token.startswith("<") else 1 for token in tokens],
    "tokenizer.ggml.merges": ["a b", "ab c", "\u0120 a"], "tokenizer.ggml.bos_token_id": 7,
    "tokenizer.ggml.eos_token_id": 8, "tokenizer.ggml.add_bos_token": True}, {})
