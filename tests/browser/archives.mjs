// Zip archives and cabinets for tests.
import zlib from "node:zlib";

/** Node has one of its own from 20.15 on only. */
function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** A zip archive. A member may be stored, and may claim a size that it does not have. */
export function zip(members) {
  const parts = [], directory = [];
  let offset = 0;
  for (const { name, content, stored = false, size = content.length } of members) {
    const data = stored ? content : zlib.deflateRawSync(content, { level: 1 });
    const header = Buffer.alloc(26);
    header.writeUInt16LE(20, 0);
    header.writeUInt16LE(0x800, 2);
    header.writeUInt16LE(stored ? 0 : 8, 4);
    header.writeUInt32LE(crc32(content), 10);
    header.writeUInt32LE(data.length, 14);
    header.writeUInt32LE(size, 18);
    header.writeUInt16LE(Buffer.byteLength(name), 22);
    const entry = Buffer.alloc(46);
    entry.write("PK\x01\x02", "latin1");
    entry.writeUInt16LE(20, 4);
    header.copy(entry, 6);
    entry.writeUInt32LE(offset, 42);
    directory.push(entry, Buffer.from(name));
    const local = [Buffer.from("PK\x03\x04", "latin1"), header, Buffer.from(name), data];
    parts.push(...local);
    offset += local.reduce((sum, part) => sum + part.length, 0);
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(members.length, 8);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(listing.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, listing, end]);
}

/** A cabinet with one file that is only stored, as `compress` names them: `name.sy_`. */
export function cabinet(name, content) {
  const blocks = [];
  for (let at = 0; at < content.length; at += 0x8000) {
    const piece = content.subarray(at, at + 0x8000);
    const head = Buffer.alloc(8);
    head.writeUInt16LE(piece.length, 4);
    head.writeUInt16LE(piece.length, 6);
    blocks.push(head, piece);
  }
  const data = Buffer.concat(blocks);
  const file = Buffer.alloc(16);
  file.writeUInt32LE(content.length, 0);
  file.writeUInt16LE(0x20, 14);
  const files = Buffer.concat([file, Buffer.from(`${name}\0`)]);
  const head = Buffer.alloc(36);
  head.write("MSCF", "latin1");
  head.writeUInt32LE(44 + files.length + data.length, 8);
  head.writeUInt32LE(44, 16);
  head.writeUInt8(3, 24);
  head.writeUInt8(1, 25);
  head.writeUInt16LE(1, 26);
  head.writeUInt16LE(1, 28);
  const folder = Buffer.alloc(8);
  folder.writeUInt32LE(44 + files.length, 0);
  folder.writeUInt16LE(blocks.length / 2, 4);
  return Buffer.concat([head, folder, files, data]);
}
