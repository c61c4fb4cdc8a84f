"""The mail that is there to read in the demonstration of `make run`: letters to Anna, as a morning in an office brings them."""
import base64
import datetime
import email.message
import email.utils
import struct
import zlib


def picture(width=240, height=90):
    """A PNG: a calm gradient."""
    rows = b"".join(b"\0" + b"".join(bytes((40 + x * 90 // width, 110 + y * 60 // height, 160)) for x in range(width)) for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def letter(sender, subject, text, minutes_ago, answers=None, mid=None):
    m = email.message.EmailMessage()
    m["From"], m["To"], m["Subject"] = sender, "Anna <anna@example.com>", subject
    m["Date"] = email.utils.format_datetime(datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=minutes_ago))
    m["Message-ID"] = mid or email.utils.make_msgid(domain="example.org")
    if answers:
        m["In-Reply-To"] = m["References"] = answers
    m.set_content(text)
    return m


def letters():
    """Messages, the oldest first."""
    order = email.utils.make_msgid(domain="example.org")
    yield letter("Carla Brandt <carla@example.org>", "Order 4711: when does it arrive?", "Dear Anna,\n\nour fair opens on Thursday. Will the"
                 " brochures be here by then?\nPlease call or write.\n\nRegards\nCarla\n", 190, mid=order)
    news = letter("Garden News <news@example.net>", "What to plant in November", "Garlic, tulips, and patience.\n", 160)
    news.add_alternative("""<html><body style="font-family: Georgia, serif"><h1 style="color: #2f6f4f">What to plant in November</h1>
<p><img src="cid:meadow" alt="A meadow" width="240" height="90"></p>
<p>Three things, says our gardener: <b>garlic</b>, <i>tulips</i>, and patience.</p>
<ul><li>Garlic: pointed end up, two inches deep.</li><li>Tulips: before the frost.</li></ul>
<p><a href="https://www.example.net/november?reader=anna">Read on</a></p>
<p><img src="https://tracker.example.net/pixel.gif?reader=anna" width="1" height="1" alt=""></p></body></html>""", subtype="html")
    news.get_payload()[1].add_related(picture(), "image", "png", cid="<meadow>")
    yield news
    bill = letter("Buchhaltung Müller & Söhne <rechnung@example.org>", "Rechnung für Oktober – bitte prüfen", "Guten Tag,\n\nanbei die Rechnung"
                  " für Oktober.\n\nMit freundlichen Grüßen\nJürgen Müller\n", 125)
    bill.add_attachment(b"Position;Betrag\r\nPapier;12,50\r\nToner;89,00\r\n", "text", "csv", filename="Rechnung Oktober.csv")
    bill.add_attachment(base64.b64decode("JVBERi0xLjEKMSAwIG9iajw8L1R5cGUvQ2F0YWxvZy9QYWdlcyAyIDAgUj4+ZW5kb2JqCjIgMCBvYmo8PC9UeXBlL1BhZ2VzL0tpZHNbMyAwIFJdL0NvdW50IDE+"
                                         "PmVuZG9iagozIDAgb2JqPDwvVHlwZS9QYWdlL1BhcmVudCAyIDAgUi9NZWRpYUJveFswIDAgMjAwIDIwMF0+PmVuZG9iagp0cmFpbGVyPDwvUm9vdCAxIDAgUj4+"),
                        "application", "pdf", filename="Rechnung 2026-10.pdf")
    yield bill
    yield letter("Carla Brandt <carla@example.org>", "Re: Order 4711: when does it arrive?", "I forgot: hall 4, stand 12.\n\n> Will the brochures be"
                 " here by then?\n", 80, answers=order)
    yield letter("Tom at the hotel <tom@example.net>", "Your room is ready from 15:00", "Hello Anna,\n\nwe look forward to seeing you on Wednesday."
                 " The way: https://www.example.net/way\n\nTom\n", 35)
    yield letter("Building services <house@example.org>", "Lift out of order until noon", "Please take the stairs. The goods lift works.\n", 5)
