/**
 * A minidump of a program with very many threads that share one stack full of return addresses, and stand at a number of
 * places: thread 1 at the first, thread 2 at the second, and so on in turn.
 */
export function manyThreads(count, places = 1) {
  const header = 0x20 + 3 * 12;
  const system = header, modules = system + 0x38, name = modules + 4 + 0x6c, context = name + 32, stack = context + places * 0x4d0;
  const words = 64, list = stack + words * 8;
  const bytes = new DataView(new ArrayBuffer(list + 4 + count * 0x30));
  const u32 = (at, value) => bytes.setUint32(at, value, true);
  const u64 = (at, value) => bytes.setBigUint64(at, BigInt(value), true);
  [0x504d444d, 0xa793, 3, 0x20].forEach((value, index) => u32(index * 4, value));
  [[7, 0x38, system], [4, 4 + 0x6c, modules], [3, 4 + count * 0x30, list]].forEach((entry, index) =>
    entry.forEach((value, field) => u32(0x20 + index * 12 + field * 4, value)));
  bytes.setUint16(system, 9, true);
  u32(system + 0x14, 2);
  u32(modules, 1);
  u64(modules + 4, 0x10000000);
  u32(modules + 12, 0x100000);
  u32(modules + 24, name);
  u32(name, 10);
  [..."a.exe"].forEach((letter, index) => bytes.setUint16(name + 4 + index * 2, letter.charCodeAt(0), true));
  for (let place = 0; place < places; place++) {
    const at = context + place * 0x4d0;
    u32(at + 0x30, 0x10001f);
    u64(at + 0x98, 0x70000000);
    u64(at + 0xf8, 0x10002000 + place);
  }
  for (let word = 0; word < words; word++) u64(stack + word * 8, 0x10003000 + word);
  u32(list, count);
  for (let index = 0; index < count; index++) {
    const at = list + 4 + index * 0x30;
    u32(at, index + 1);
    u64(at + 24, 0x70000000);
    u32(at + 32, words * 8);
    u32(at + 36, stack);
    u32(at + 40, 0x4d0);
    u32(at + 44, context + (index % places) * 0x4d0);
  }
  return Buffer.from(bytes.buffer);
}
