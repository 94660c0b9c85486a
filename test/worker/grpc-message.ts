// grpc-message as its document says, apart from the gateway's own coder. How often: tests only.

export const decodeGrpcMessage = (text: string): string => decodeURIComponent(text);
