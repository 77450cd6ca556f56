"""Live sessions of a real server, over real sockets."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from urllib.request import urlopen

import av
import cv2
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection

from infer.serve.pictures import HEADER
from tests.infer.serve.conftest import SECONDS, Service, serve
from tests.inputs import babble


def pcm(sound: np.ndarray) -> bytes:
    return (sound * 2**15).astype("<i2").tobytes()


def start(socket: ClientConnection, **options) -> dict:
    """Start a session, and return the server's answer."""
    socket.send(json.dumps({"type": "start", **options}))
    return json.loads(socket.recv(SECONDS))


def send(socket: ClientConnection, data: bytes, size: int) -> None:
    for at in range(0, len(data), size):
        socket.send(data[at : at + size])
    socket.send(json.dumps({"type": "end"}))


def receive(socket: ClientConnection) -> tuple[list[bytes], list[dict]]:
    """Return all messages until the server closes: bytes, and texts."""
    pieces = []
    texts = []
    try:
        while True:
            message = socket.recv(SECONDS)
            if isinstance(message, bytes):
                pieces.append(message)
            else:
                texts.append(json.loads(message))
    except ConnectionClosed:
        return pieces, texts


def talk(service: Service, sound: np.ndarray, size: int = 1280, **options):
    """Return the frames and texts of a session without silence between."""
    with service.connect() as socket:
        assert start(socket, idle=False, **options)["type"] == "ready"
        sender = threading.Thread(target=send, args=(socket, pcm(sound), size))
        sender.start()
        answers = receive(socket)
        sender.join()
    return answers


def health(service: Service) -> dict:
    with urlopen(f"{service.address}/health") as answer:
        return json.load(answer)


def wait_for_slots(service: Service, taken: int, seconds: float) -> None:
    """Wait until so many slots are taken."""
    end = time.monotonic() + seconds
    while health(service)["sessions"] != taken:
        assert time.monotonic() < end, "the slot is not free"
        time.sleep(0.02)


def test_frames_have_numbers_times_and_pictures(service):
    frames, texts = talk(service, babble(0.7))
    assert [text["type"] for text in texts] == ["sound", "end"]
    assert texts[0] == {"type": "sound", "time": 0.0, "sample": 0}
    assert texts[1]["frames"] == len(frames) == 18
    headers = [HEADER.unpack(frame[: HEADER.size]) for frame in frames]
    assert [index for index, _ in headers] == list(range(18))
    np.testing.assert_allclose([time for _, time in headers], np.arange(18) / 25)
    data = np.frombuffer(frames[3][HEADER.size :], np.uint8)
    assert cv2.imdecode(data, cv2.IMREAD_COLOR).shape == (256, 256, 3)


def test_frames_come_while_the_sound_does(service):
    sound = pcm(babble(0.7))
    with service.connect() as socket:
        ready = start(socket, idle=False)
        assert (ready["fps"], ready["width"], ready["height"]) == (25, 256, 256)
        assert ready["mime"] == "image/jpeg"
        # Odd sizes, which cut samples in two.
        for at in range(0, len(sound), 333):
            socket.send(sound[at : at + 333])
        # The sound has no end yet.
        messages = [socket.recv(SECONDS) for _ in range(3)]
        assert json.loads(messages[0])["type"] == "sound"
        assert isinstance(messages[1], bytes)


def test_floats_and_integers_make_the_same_frames(service):
    sound = np.round(babble(0.65) * 2**15).astype("<i2").astype(np.float32) / 2**15
    by_integers, _ = talk(service, sound)
    with service.connect() as socket:
        start(socket, idle=False, sound="f32")
        send(socket, sound.astype("<f4").tobytes(), 1001)
        by_floats, _ = receive(socket)
    assert by_floats == by_integers


def test_fragments_of_mp4_are_one_file(service):
    fragments, texts = talk(service, babble(0.7), frames="mp4")
    assert texts[-1]["frames"] == 18
    assert len(fragments) >= 16
    with av.open(BytesIO(b"".join(fragments))) as file:
        assert len(list(file.decode(video=0))) == 18
    with av.open(BytesIO(b"".join(fragments))) as file:
        samples = sum(frame.samples for frame in file.decode(audio=0))
    assert samples / 48_000 == pytest.approx(0.7, abs=0.05)


def test_a_silent_client_sees_idle_motion(service):
    with service.connect() as socket:
        start(socket)
        frames = [socket.recv(SECONDS) for _ in range(9)]
        # Sound that comes now lies behind the silence.
        socket.send(pcm(babble(0.1)))
        while isinstance(message := socket.recv(SECONDS), bytes):
            frames.append(message)
    text = json.loads(message)
    assert text["sample"] == 0
    assert text["time"] > 0.5
    assert len(set(frames)) == len(frames)


def test_two_clients_at_once_do_not_mix_frames(service):
    sounds = [babble(0.8), babble(0.8)[::-1].copy()]
    seeds = [1, 2]
    single = [
        talk(service, sound, seed=seed)
        for sound, seed in zip(sounds, seeds, strict=True)
    ]
    with ThreadPoolExecutor() as pool:
        pairs = zip(sounds, seeds, strict=True)
        futures = [
            pool.submit(talk, service, sound, seed=seed) for sound, seed in pairs
        ]
        both = [future.result() for future in futures]
    assert single[0][0] != single[1][0]
    assert both == single


def test_sessions_beyond_the_slots_are_refused(service):
    with service.connect() as first, service.connect() as second:
        start(first)
        start(second)
        with service.connect() as third:
            answer = start(third)
            assert answer["type"] == "error"
            assert answer["message"].startswith(
                "all 2 sessions of this server are taken"
            )
            with pytest.raises(ConnectionClosed):
                third.recv(SECONDS)
            assert third.close_code == 1013
    wait_for_slots(service, 0, SECONDS)
    with service.connect() as socket:
        assert start(socket)["type"] == "ready"


@pytest.mark.parametrize("way", ["close", "reset"])
def test_a_client_that_vanishes_frees_its_slot(service, way):
    wait_for_slots(service, 0, SECONDS)
    with service.connect() as socket:
        start(socket)
        wait_for_slots(service, 1, SECONDS)
        if way == "close":
            socket.close()
        else:
            # Without a word of WebSocket, as a process that is killed.
            socket.socket.shutdown(2)
        wait_for_slots(service, 0, 5)


NOT_FINITE = np.full(10, np.nan, "<f4").tobytes()


@pytest.mark.parametrize(
    ("messages", "line", "code"),
    [
        (["no JSON"], "a message cannot be read", 1007),
        ([b"\0\0"], "the first message is bytes", 1007),
        (['{"type": "start", "colour": 1}'], "unknown field `colour`", 1007),
        (['{"type": "start", "sound": "mp3"}'], "Invalid enum value 'mp3'", 1007),
        (['{"type": "start", "seed": -1}'], "seed is -1: it must be from 0", 1007),
        (['{"type": "start", "portrait": "x"}'], "there is no such portrait", 1007),
        (['{"type": "start"}', '{"type": "stop"}'], "Invalid value 'stop'", 1007),
        (['{"type": "start", "sound": "f32"}', NOT_FINITE], "is not finite", 1007),
    ],
)
def test_malformed_messages_are_answered(service, messages, line, code):
    wait_for_slots(service, 0, SECONDS)
    with service.connect() as socket:
        for message in messages:
            socket.send(message)
        _, texts = receive(socket)
        assert texts[-1]["type"] == "error"
        assert line in texts[-1]["message"]
        assert socket.close_code == code
    wait_for_slots(service, 0, 5)


def test_messages_that_are_too_large_end_their_session_only(service):
    with service.connect() as socket:
        start(socket)
        # The server closes while bytes are on their way, and TCP may reset the
        # connection before the reason arrives.
        with suppress(ConnectionClosed):
            socket.send(bytes(2**20 + 1))
            receive(socket)
        assert socket.close_code in (
            CloseCode.MESSAGE_TOO_BIG,
            CloseCode.ABNORMAL_CLOSURE,
        )
    wait_for_slots(service, 0, 5)


def test_pages_of_other_sites_are_refused(service):
    with (
        pytest.raises(InvalidStatus, match="403"),
        service.connect(origin="http://elsewhere.example"),
    ):
        pass
    with service.connect(origin=service.address) as socket:
        assert start(socket)["type"] == "ready"


def test_a_token_is_needed_where_there_is_one(avatar):
    with serve(avatar, token="secret") as service:
        for options in ({}, {"token": "wrong"}):
            with service.connect() as socket:
                answer = start(socket, **options)
                assert answer["message"] == "the token is missing or wrong"
        with service.connect() as socket:
            assert start(socket, token="secret")["type"] == "ready"
        headers = {"Authorization": "Bearer secret"}
        with service.connect(additional_headers=headers) as socket:
            assert start(socket)["type"] == "ready"
