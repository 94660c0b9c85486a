/** The reply of the `Take` method: how many messages and bytes arrived, and how many of them were wrong. Shared by both sides. */
import { PREFIX_BYTES } from "./message.js";

export const takeReply = (messages: number, bytes: number, wrong: number): Buffer => {
  const reply = Buffer.alloc(PREFIX_BYTES + 12);
  reply.writeUInt32BE(12, 1);
  reply.writeUInt32BE(messages >>> 0, PREFIX_BYTES);
  reply.writeUInt32BE(bytes >>> 0, PREFIX_BYTES + 4);
  reply.writeUInt32BE(wrong >>> 0, PREFIX_BYTES + 8);
  return reply;
};
