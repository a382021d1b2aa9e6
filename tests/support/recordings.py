"""Recordings as watches and receivers make them, written here byte by byte from one list of samples."""
import struct
from dataclasses import dataclass
from datetime import datetime, timezone


@dataclass
class Sample:
    at: float  # seconds since 1970
    lat: float
    lon: float
    altitude: float
    speed: float
    hr: int


def walk(count, start=1_700_000_000, lat=-33.9249, lon=18.4241):
    """One sample a second, to the north."""
    return [Sample(start + i, lat + i * 2e-5, lon, 12.0 + i % 5, 2.5, 90 + i % 40) for i in range(count)]


def crc(data):
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value


def fit(samples):
    body = bytes([0x40, 0, 0, 20, 0, 6, 253, 4, 0x86, 0, 4, 0x85, 1, 4, 0x85, 2, 2, 0x84, 6, 2, 0x84, 3, 1, 2])
    for s in samples:
        body += b"\0" + struct.pack("<IiiHHB", int(s.at) - 631065600, round(s.lat * 2**31 / 180), round(s.lon * 2**31 / 180),
                                    round((s.altitude + 500) * 5), round(s.speed * 1000), s.hr)
    head = struct.pack("<BBHI4s", 14, 0x10, 2134, len(body), b".FIT")
    whole = head + struct.pack("<H", crc(head)) + body
    return whole + struct.pack("<H", crc(whole))


def iso(at):
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def gpx(samples):
    points = "".join(f'<trkpt lat="{s.lat:.7f}" lon="{s.lon:.7f}"><ele>{s.altitude}</ele><time>{iso(s.at)}</time><extensions>'
                     f"<t:TrackPointExtension><t:hr>{s.hr}</t:hr><t:speed>{s.speed}</t:speed></t:TrackPointExtension></extensions></trkpt>\n"
                     for s in samples)
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1" xmlns:t="urn:t">'
            f"<trk><trkseg>{points}</trkseg></trk></gpx>").encode()


def tcx(samples):
    points = "".join(f"<Trackpoint><Time>{iso(s.at)}</Time><Position><LatitudeDegrees>{s.lat:.7f}</LatitudeDegrees><LongitudeDegrees>{s.lon:.7f}"
                     f"</LongitudeDegrees></Position><AltitudeMeters>{s.altitude}</AltitudeMeters><HeartRateBpm><Value>{s.hr}</Value></HeartRateBpm>"
                     f'<Extensions><TPX xmlns="urn:x"><Speed>{s.speed}</Speed></TPX></Extensions></Trackpoint>\n' for s in samples)
    return f"<TrainingCenterDatabase><Activities><Activity><Lap><Track>{points}</Track></Lap></Activity></Activities></TrainingCenterDatabase>".encode()


def csv(samples):
    rows = "".join(f"{s.at - samples[0].at:.3f},{s.lat:.7f},{s.lon:.7f},{s.altitude},{s.speed},{s.hr}\r\n" for s in samples)
    return ("t_s,lat,lon,altitude_m,speed_mps,heart_rate_bpm\r\n" + rows).encode()


def sentence(body):
    total = 0
    for c in body:
        total ^= ord(c)
    return f"${body}*{total:02X}\r\n"


def angle(value, width, letters):
    degrees, minutes = divmod(abs(value) * 60, 60)
    return f"{int(degrees):0{width}d}{minutes:09.6f},{letters[value < 0]}"


def nmea(samples):
    lines = []
    for s in samples:
        when = datetime.fromtimestamp(s.at, timezone.utc)
        where = f"{angle(s.lat, 2, 'NS')},{angle(s.lon, 3, 'EW')}"
        lines.append(sentence(f"GPRMC,{when:%H%M%S}.00,A,{where},{s.speed * 3600 / 1852:.4f},0.0,{when:%d%m%y},,,A"))
        lines.append(sentence(f"GPGGA,{when:%H%M%S}.00,{where},1,08,1.0,{s.altitude},M,0.0,M,,"))
    return "".join(lines).encode()
