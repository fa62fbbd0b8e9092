/* One AVX2 instruction. */
int main(void) {
  __asm__ volatile("vpaddd %%ymm0, %%ymm0, %%ymm0" ::: "xmm0");
  return 0;
}
