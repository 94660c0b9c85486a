"""The contract's service (test/support/grpc/contract.ts) on grpcio: an independent peer of the gateway's client side.

Usage: service.py SERVICE-NAME. Prints its port, serves until its standard input ends.
"""

import json
import sys
import threading
from concurrent import futures

import grpc

STATUS = {code.value[0]: code for code in grpc.StatusCode}
cancelled = set()
changed = threading.Condition()


def echo(request, context):
    return request


def collect(requests, context):
    count = size = 0
    for message in requests:
        count += 1
        size += len(message)
    return f"{count}:{size}".encode()


def give(request, context):
    count, size = map(int, request.decode().split(":"))
    for at in range(count):
        yield at.to_bytes(4, "big") + bytes([at & 255]) * max(0, size - 4)


def chat(requests, context):
    yield from requests


def nothing(request, context):
    return iter(())


def custom(context):
    pairs = [(it.key, it.value) for it in context.invocation_metadata()]
    return [(key, value) for key, value in pairs if key.startswith("x-") and key != "x-forwarded-for"]


def mirror(request, context):
    fields = custom(context)
    context.send_initial_metadata(fields)
    context.set_trailing_metadata([("y-" + key[2:], value) for key, value in fields])
    raw = [(key, value if isinstance(value, bytes) else value.encode()) for key, value in fields]
    return json.dumps([[key, value.hex()] for key, value in raw]).encode()


def fail(request, context):
    code, message = request.decode().split(":", 1)
    context.abort(STATUS[int(code)], message)


def fail_late(request, context):
    yield b"before"
    fail(request, context)


def hold(request, context):
    name, _, first = request.decode().partition(":")
    over = threading.Event()

    # Not after the wait: a call that is cancelled while its message is sent is never resumed.
    def ended():
        with changed:
            cancelled.add(name)
            changed.notify_all()
        over.set()

    context.add_callback(ended)
    if first:
        yield first.encode()
    else:
        context.send_initial_metadata(())
    over.wait()


def watch(request, context):
    with changed:
        if not changed.wait_for(lambda: request.decode() in cancelled, timeout=10):
            context.abort(grpc.StatusCode.NOT_FOUND, "was not cancelled")
    return request


def main(service):
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Collect": grpc.stream_unary_rpc_method_handler(collect),
        "Give": grpc.unary_stream_rpc_method_handler(give),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
        "Nothing": grpc.unary_stream_rpc_method_handler(nothing),
        "Mirror": grpc.unary_unary_rpc_method_handler(mirror),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "FailLate": grpc.unary_stream_rpc_method_handler(fail_late),
        "Hold": grpc.unary_stream_rpc_method_handler(hold),
        "Watch": grpc.unary_unary_rpc_method_handler(watch),
    }
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(0)


main(sys.argv[1])
