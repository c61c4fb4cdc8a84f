"""interimap (strict CONDSTORE and QRESYNC) keeps an account here and one in Dovecot equal, while both change."""
import os
import subprocess

import dovecot
import peers
import people
import pytest
from test_people import arrive

PASSWORD = "some long password of anna's"


@pytest.fixture
def pair(folder, started):
    office = started(people.Office(os.path.join(folder, "office"), peers.free_port(), mode="backup-mx"))
    office.add("anna")
    anna = office.people["anna"]
    other = dovecot.Dovecot({anna.address: PASSWORD}).start()
    yield office, anna, other
    other.close()


def configure(folder, office, anna, other):
    path = os.path.join(folder, "interimap")
    with open(path, "w") as f:
        f.write(f"database = {folder}/interimap.db\n")
        for name, port, password in (("local", other.imaps_port, PASSWORD), ("remote", office.ports["imaps"], anna.password)):
            f.write(f"[{name}]\ntype = imaps\nhost = 127.0.0.1\nport = {port}\nusername = {anna.address}\npassword = {password}\nSSL_verify = NO\n")
    os.chmod(path, 0o600)
    return path


def sync(folder, config):
    home = {v: folder for v in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    done = subprocess.run(["interimap", "--config", config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                          env={**os.environ, **home})
    assert done.returncode == 0, done.stdout
    assert "WARNING" not in done.stdout.upper(), done.stdout


def state(m):
    """By folder: Message-ID and flags of each message."""
    return {f: sorted((mid, sorted(flags)) for mid, flags, _ in people.contents(m, f)) for f in ("INBOX", "Sent", "Archive", "Neu")}


def test_interimap_keeps_both_sides_equal(pair, folder):
    office, anna, other = pair
    config = configure(folder, office, anna, other)
    m = anna.imap()
    assert m.create("Neu")[0] == "OK"
    arrive(office.port, anna.address, 30)
    peers.wait_for(lambda: len(people.contents(m, "INBOX")) == 30, 10, "the mail")
    sync(folder, config)
    d = other.imap(anna.address)
    assert state(m) == state(d) and len(state(m)["INBOX"]) == 30
    for turn in range(3):
        m.select("INBOX")
        d.select("INBOX")
        for side, words in ((m, ("store", "1:3", "+FLAGS", "(\\Flagged $Work)")), (m, ("store", "5", "+FLAGS", "(\\Deleted)")),
                            (m, ("expunge",)), (m, ("copy", "2:4", "Archive")),
                            (d, ("store", "10:12", "+FLAGS", "(\\Seen)")), (d, ("store", "15", "+FLAGS", "(\\Deleted)")),
                            (d, ("expunge",)), (d, ("copy", "7:8", "Sent")), (d, ("store", "9", "-FLAGS", "(\\Seen)")),
                            (d, ("append", "Neu", "(\\Draft)", None, b"Message-ID: <there%d@x>\r\n\r\nhi\r\n" % turn)),
                            (m, ("append", "Sent", "(\\Seen)", None, b"Message-ID: <here%d@x>\r\n\r\nhi\r\n" % turn))):
            answer = getattr(side, words[0])(*words[1:])
            assert answer[0] == "OK", (words, answer)
        arrive(office.port, anna.address, 1, f"turn {turn}")
        peers.wait_for(lambda: len(people.contents(m, "INBOX")) == 30 - turn, 10, "the mail of the turn")
        sync(folder, config)
        ours, theirs = state(m), state(d)
        assert ours == theirs
        assert len(ours["INBOX"]) == 29 - turn and len(ours["Neu"]) == turn + 1
        assert len(ours["Archive"]) == 3 * (turn + 1) and len(ours["Sent"]) == 3 * (turn + 1)
