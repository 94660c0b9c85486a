"""Calls of the contract (test/support/grpc/contract.ts) through grpcio: an independent peer of the gateway's server side.

Usage: client.py PORT SERVICE-NAME [DIRECT-PORT]. Prints one JSON line a case: name, and what went wrong ("" if nothing).
"""

import json
import queue
import sys
import traceback

import grpc

PORT, SERVICE, DIRECT = sys.argv[1], sys.argv[2], sys.argv[3]
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)]
channel = grpc.insecure_channel(f"127.0.0.1:{PORT}", OPTIONS)
direct = grpc.insecure_channel(f"127.0.0.1:{DIRECT}", OPTIONS)


def unary(name, on=channel, service=SERVICE):
    return on.unary_unary(f"/{service}/{name}")


def giving(name):
    return channel.unary_stream(f"/{SERVICE}/{name}")


def collecting():
    return channel.stream_unary(f"/{SERVICE}/Collect")


def chatting():
    return channel.stream_stream(f"/{SERVICE}/Chat")


def same(found, expected):
    assert found == expected, f"{str(found)[:300]} is not {str(expected)[:300]}"


def failure(run):
    try:
        run()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call should have failed")


METADATA = [
    ("x-one", "first"),
    ("x-many", "a"),
    ("x-between", "1"),
    ("x-many", "b, c"),
    ("x-many", "a"),
    ("x-empty", ""),
    ("x-bytes-bin", bytes([0, 255, 10, 13, 128])),
    ("x-bytes-bin", b""),
    ("x-long", "v" * 4000),
]


def a_unary_call():
    same(unary("Echo")(b"hello"), b"hello")


def an_empty_message():
    same(unary("Echo")(b""), b"")


def eight_megabytes_each_way():
    large = bytes(range(256)) * 32768
    assert unary("Echo")(large) == large


def a_client_stream():
    same(collecting()(iter([bytes(at * 37) for at in range(200)])), f"200:{sum(range(200)) * 37}".encode())


def an_empty_client_stream():
    same(collecting()(iter([])), b"0:0")


def a_server_stream():
    messages = list(giving("Give")(b"500:3000"))
    same([int.from_bytes(it[:4], "big") for it in messages], list(range(500)))
    same({len(it) for it in messages}, {3000})


def an_empty_server_stream():
    same(list(giving("Nothing")(b"")), [])


def ping_pong():
    outgoing = queue.Queue()
    call = chatting()(iter(outgoing.get, None))
    for at in range(20):
        outgoing.put(str(at).encode())
        same(next(call), str(at).encode())
    outgoing.put(None)
    same(list(call), [])


def an_empty_bidirectional_stream():
    same(list(chatting()(iter([]))), [])


def much_in_both_directions():
    messages = [bytes([at]) * 50000 for at in range(64)]
    assert list(chatting()(iter(messages))) == messages


def metadata_both_ways():
    reply, call = unary("Mirror").with_call(b"", metadata=METADATA)
    expected, oracle = unary("Mirror", direct).with_call(b"", metadata=METADATA)
    same(json.loads(reply), json.loads(expected))

    def own(metadata):
        return [(it.key, it.value) for it in metadata if it.key[:2] in ("x-", "y-")]

    same(own(call.initial_metadata()), own(oracle.initial_metadata()))
    same(own(call.trailing_metadata()), own(oracle.trailing_metadata()))
    assert len(own(call.trailing_metadata())) > 3


def every_status_code():
    for code in [1, 2, 3, 5, 7, 8, 9, 10, 13, 14, 15, 16]:
        error = failure(lambda: unary("Fail")(f"{code}:reason {code}".encode()))
        same((error.code().value[0], error.details()), (code, f"reason {code}"))


def a_status_message_of_unicode():
    message = "Grüße 你好 🚀 100% %41\nnext\tline"
    error = failure(lambda: unary("Fail")(f"9:{message}".encode()))
    same(error.details(), message)


def a_status_after_the_first_message():
    call = giving("FailLate")("8:too much ☃".encode())
    same(next(call), b"before")
    error = failure(lambda: next(call))
    same((error.code(), error.details()), (grpc.StatusCode.RESOURCE_EXHAUSTED, "too much ☃"))


def an_unknown_method():
    same(failure(lambda: unary("Missing")(b"")).code(), grpc.StatusCode.UNIMPLEMENTED)


def an_unknown_service():
    error = failure(lambda: unary("Echo", service="test.Unknown")(b""))
    same((error.code(), error.details()), (grpc.StatusCode.UNIMPLEMENTED, "Not Found"))


def a_cancel_after_the_beginning():
    call = giving("Hold")(b"python-begun")
    call.initial_metadata()
    call.cancel()
    same(unary("Watch")(b"python-begun", timeout=10), b"python-begun")


def a_cancel_after_the_first_response():
    call = giving("Hold")(b"python-first:first")
    same(next(call), b"first")
    call.cancel()
    same(unary("Watch")(b"python-first", timeout=10), b"python-first")


def a_deadline_that_passes():
    call = giving("Hold")(b"python-late:first", timeout=0.5)
    same(next(call), b"first")
    same(failure(lambda: next(call)).code(), grpc.StatusCode.DEADLINE_EXCEEDED)
    same(unary("Watch")(b"python-late", timeout=10), b"python-late")


def many_calls_at_once():
    calls = [unary("Echo").future(str(at).encode()) for at in range(1000)]
    same([call.result() for call in calls], [str(at).encode() for at in range(1000)])


CASES = [
    a_unary_call,
    an_empty_message,
    eight_megabytes_each_way,
    a_client_stream,
    an_empty_client_stream,
    a_server_stream,
    an_empty_server_stream,
    ping_pong,
    an_empty_bidirectional_stream,
    much_in_both_directions,
    metadata_both_ways,
    every_status_code,
    a_status_message_of_unicode,
    a_status_after_the_first_message,
    an_unknown_method,
    an_unknown_service,
    a_cancel_after_the_beginning,
    a_cancel_after_the_first_response,
    a_deadline_that_passes,
    many_calls_at_once,
]

for case in CASES:
    try:
        case()
        problem = ""
    except Exception:
        problem = traceback.format_exc()
    print(json.dumps({"name": case.__name__.replace("_", " "), "problem": problem}), flush=True)
