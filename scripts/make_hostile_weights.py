#!/usr/bin/env python3
"""Write the malicious and broken weights files of tests/data/hostile/ (standard library only, deterministic).

`n_<class>_<detail>` must be refused, `y_<class>_<detail>` must load. The classes are those of the known pickle
scanners and of the formats themselves: calls of code, opcodes, stacked and hidden pickles, bombs, lies about sizes,
damaged archives. Nothing here is dangerous by itself: a global that names os.system only proves that it is not
called.
Run:  python scripts/make_hostile_weights.py     (rewrites the folder)
"""
import io
import os
import re
import struct
import zipfile
import zlib

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests")
OUT = os.path.join(ROOT, "data", "hostile")
FILES = {}

# ---- pickle pieces -----------------------------------------------------------------------------------------

PROTO = b"\x80\x02"
STOP = b"."


def text(s):
    b = s if isinstance(s, bytes) else s.encode()
    return b"X" + struct.pack("<I", len(b)) + b


def glob(module, name):
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def num(n):
    if 0 <= n < 256:
        return b"K" + bytes([n])
    if -2**31 <= n < 2**31:
        return b"J" + struct.pack("<i", n)
    return b"\x8a\x08" + struct.pack("<q", n)


def tup(*items):
    return b"(" + b"".join(items) + b"t"


def ints(values):
    return tup(*[num(v) for v in values])


def storage(key="0", numel=4, cls="FloatStorage", module="torch", view=None):
    parts = [text("storage"), glob(module, cls), text(key), text("cpu"), num(numel)]
    if view is not None:
        parts.append(view)
    return tup(*parts) + b"Q"


EMPTY = glob("collections", "OrderedDict") + b")R"


def tensor(store=None, offset=0, size=(4,), stride=(1,), hooks=EMPTY, extra=b"", grad=b"\x89"):
    return (glob("torch._utils", "_rebuild_tensor_v2")
            + tup(store or storage(), num(offset), ints(size), ints(stride), grad, hooks, extra) + b"R")


def state(**tensors):
    return PROTO + EMPTY + b"(" + b"".join(text(k) + v for k, v in tensors.items()) + b"u" + STOP


GOOD = state(w=tensor())
DATA = struct.pack("<4f", 1, 2, 3, 4)

# ---- zip -----------------------------------------------------------------------------------------------------


class Member:
    """One member with every field open to lies; None means the honest value."""

    def __init__(self, name, data, **lies):
        self.name, self.data = name.encode() if isinstance(name, str) else name, data
        self.flags, self.method, self.crc, self.usize, self.csize = 0, 0, None, None, None
        self.local_name, self.local_flags, self.local_crc, self.header = None, None, None, None
        self.local_usize, self.local_method, self.magic, self.descriptor = None, None, b"PK\3\4", b""
        self.extra, self.central_extra, self.disk = b"", b"", 0
        self.packed = None
        self.__dict__.update(lies)


def deflate(data):
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    return c.compress(data) + c.flush()


def pack(members, comment=b"", tail=b"", cut=0, n=None, zip64=False, gap=b"", cd_shift=0, lie64=0, prefix=b"",
         cd_tail=b""):
    out, central = bytearray(prefix), bytearray()
    for m in members:
        packed = m.packed if m.packed is not None else (deflate(m.data) if m.method == 8 else m.data)
        crc = zlib.crc32(m.data) if m.crc is None else m.crc
        usize = len(m.data) if m.usize is None else m.usize
        csize = len(packed) if m.csize is None else m.csize
        at = len(out) if m.header is None else m.header
        local_name = m.name if m.local_name is None else m.local_name
        local_flags = m.flags if m.local_flags is None else m.local_flags
        local_crc = crc if m.local_crc is None else m.local_crc
        local_usize = usize if m.local_usize is None else m.local_usize
        local_method = m.method if m.local_method is None else m.local_method
        out += m.magic + struct.pack("<HHHHHIIIHH", 20, local_flags, local_method, 0, 33, local_crc, csize,
                                     local_usize, len(local_name), len(m.extra)) + local_name + m.extra
        out += packed + m.descriptor
        central += b"PK\1\2" + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, m.flags, m.method, 0, 33, crc, csize, usize,
                                           len(m.name), len(m.central_extra), 0, m.disk, 0, 0, at)
        central += m.name + m.central_extra
    out += gap
    cd_at, n = len(out) + cd_shift, len(members) if n is None else n
    central += cd_tail
    out += central
    if zip64:
        at = len(out)
        out += b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, n + lie64, n + lie64, len(central), cd_at)
        out += b"PK\6\7" + struct.pack("<IQI", 0, at, 1)
    out += b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, n, n, len(central), cd_at, len(comment)) + comment + tail
    return bytes(out[:len(out) - cut])


def members(pickle=GOOD, data=DATA, version=b"3\n", **lies):
    return [Member("a/data.pkl", pickle), Member("a/byteorder", b"little"), Member("a/data/0", data, **lies),
            Member("a/version", version)]


def zipped(pickle=GOOD, data=DATA, **lies):
    return pack(members(pickle, data, **lies))


def add(name, data):
    assert name not in FILES, name
    FILES[name] = data


def calls():
    """Globals that are not in the table, in every spelling of a call."""
    arg = text("echo pwned") + b"\x85R"
    for module, name in [("posix", "system"), ("os", "system"), ("nt", "system"), ("builtins", "eval"),
                         ("builtins", "exec"), ("__builtin__", "getattr"), ("subprocess", "Popen"),
                         ("sys", "modules"), ("importlib", "import_module"), ("runpy", "run_path"),
                         ("pip", "main"), ("webbrowser", "open"), ("socket", "create_connection"),
                         ("torch", "load"), ("torch.hub", "load"), ("torch.storage", "_load_from_bytes"),
                         ("numpy.core.multiarray", "_reconstruct"), ("numpy", "load"), ("pickle", "loads"),
                         ("_io", "open"), ("torchvision.models.resnet", "ResNet"), ("operator", "attrgetter"),
                         ("collections", "OrderedDict.__class__"), ("torch._utils", "os.system"),
                         ("", ""), ("torch.nn", "parameter.Parameter"), ("os\x1b[31m", "system")]:
        add("n_call_%s.%s.pth" % (module.replace("\x1b[31m", "ESC"), name), zipped(PROTO + glob(module, name) + arg + STOP))
    add("n_call_plain_pickle.pth", PROTO + glob("posix", "system") + arg + STOP)
    add("n_call_plain_protocol0.pth", b"cposix\nsystem\n(S'echo pwned'\ntR.")
    add("n_call_plain_protocol4.pth", b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94"
        b"\x8c\x02id\x94\x85\x94R\x94.")
    add("n_call_inst.pth", zipped(PROTO + b"(" + text("id") + b"iposix\nsystem\n."))
    add("n_call_obj.pth", zipped(PROTO + b"(" + glob("posix", "system") + text("id") + b"o."))
    add("n_call_newobj.pth", zipped(PROTO + glob("collections", "OrderedDict") + b")\x81."))
    add("n_call_stack_global.pth", zipped(PROTO + text("posix") + text("system") + b"\x93" + arg + STOP))
    add("n_call_ext.pth", zipped(PROTO + b"\x82\x01" + arg + STOP))
    add("n_call_encode_rot13.pth", zipped(PROTO + glob("_codecs", "encode") + text("a") + text("rot13") + b"\x86R."))
    add("n_call_dtype.pth", zipped(PROTO + glob("torch", "float32") + b")R."))
    add("n_call_storage_class.pth", zipped(PROTO + glob("torch", "FloatStorage") + num(9) + b"\x85R."))
    add("n_call_build_tensor.pth", zipped(PROTO + tensor() + b"}b."))
    add("n_call_inside_value.pth", zipped(state(w=tensor(), x=glob("os", "system") + arg)))
    add("n_call_hooks.pth", zipped(state(w=tensor(hooks=EMPTY + num(1) + num(2) + b"s"))))
    add("n_call_metadata_neg.pth", zipped(state(w=tensor(extra=b"}" + text("neg") + b"\x88s"))))
    add("n_call_module_id.pth", zipped(PROTO + tup(text("module"), glob("torch", "FloatStorage"), text("f.py"),
                                                   text("source"), num(1)) + b"Q."))


def opcodes():
    for name, body in [("pop", b"K\1K\2" b"0"), ("dup", b"K\1" b"2"), ("empty_set", b"\x8f"), ("memoize", b"K\1\x94"),
                       ("frame", b"\x95\2\0\0\0\0\0\0\0K\1"), ("unknown", b"\xff"), ("int_text", b"I1\n"),
                       ("long4", b"\x8b\1\0\0\0\1"), ("persid", b"P0\n"), ("binbytes", b"C\1a")]:
        add("n_opcode_%s.pth" % name, zipped(PROTO + body + STOP))
    for name, body in [("stack_empty", b""), ("two_values", b"K\1K\2"), ("reduce_nothing", b"R"), ("mark_left", b"("),
                       ("tuple_no_mark", b"K\1t"), ("setitem_list", b"]K\1K\2s"), ("append_dict", b"}K\1a"),
                       ("setitems_odd", b"}(K\1u"), ("key_list", b"}]K\1s"), ("key_float", b"}G" + bytes(8) + b"K\1s"),
                       ("get_missing", b"h\5"), ("put_nothing", b"q\0"), ("reduce_mark", glob("torch", "Size") + b"(R"),
                       ("binpersid_int", b"K\1Q"), ("text_not_utf8", text(b"\xff\xfe")),
                       ("appends_mark_eaten", b"](K\1" b"ee"), ("build_dict", b"}" + text("w") + tensor() + b"s}b"), ("build_list", b"]}b")]:
        add("n_stack_%s.pth" % name, zipped(PROTO + body + STOP))
    add("n_proto_0.pth", zipped(b"}" + STOP))
    add("n_proto_3.pth", zipped(b"\x80\x03" + GOOD[2:]))
    add("n_proto_4.pth", zipped(b"\x80\x04" + GOOD[2:]))
    add("n_proto_255.pth", zipped(b"\x80\xff" + GOOD[2:]))
    add("n_hidden_second_pickle.pth", zipped(GOOD + PROTO + glob("os", "system") + STOP))
    add("n_hidden_trailing_byte.pth", zipped(GOOD + b"\0"))
    add("n_cut_no_stop.pth", zipped(GOOD[:-1]))
    add("n_cut_in_global.pth", zipped(PROTO + b"ctorch"))
    add("n_cut_in_text.pth", zipped(PROTO + b"X\xff\xff\0\0abc"))


def bombs():
    nest = PROTO + b"]" * 70 + b"a" * 69 + STOP
    add("n_bomb_depth.pth", zipped(nest))
    add("n_bomb_stack.pth", zipped(PROTO + b"(" + b"N" * 10001 + b"t."))
    add("n_bomb_tuples.pth", zipped(PROTO + b")" + b"\x85" * 100 + STOP))
    add("n_bomb_get_ratio.pth", zipped(PROTO + b"]q\0(" + b"h\0" * 2000 + b"t."))
    add("n_bomb_memo_slot.pth", zipped(PROTO + b"]r\xff\xff\xff\x7f."))
    add("n_bomb_long_255.pth", zipped(PROTO + b"\x8a\xff" + b"\x01" * 255 + STOP))
    add("n_bomb_text_4g.pth", zipped(PROTO + b"X\xff\xff\xff\xff."))
    ops = PROTO + b"]" + b"q\0" * 1000001 + STOP
    add("n_bomb_ops.pth", pack([Member("a/data.pkl", ops, method=8)] + members()[1:]))
    add("n_bomb_self_list.pth", zipped(PROTO + b"]q\0h\0a."))
    add("n_bomb_cycle.pth", zipped(PROTO + b"]q\0]q\1h\0ah\1\x86" b"h\0h\1a\x86."))
    # dicts that hold the one below twice: d1 = {a: d0, b: d0}, ... exponential paths, linear bytes
    body = b"}" + text("w") + tensor() + b"s"
    for level in range(40):
        slot = bytes([level])
        body = b"}" + text("a") + body + b"q" + slot + b"s" + text("b") + b"h" + slot + b"s"
    add("n_bomb_dup_paths.pth", zipped(PROTO + body + STOP))
    wide = PROTO + b"}"
    for i in range(20):
        wide += text("d%d" % i) + b"}" + text("w") + tensor() + b"ss"
    add("n_bomb_many_dicts.pth", zipped(wide + STOP))
    add("n_bomb_expanded.pth", zipped(state(w=tensor(size=(1000, 1000), stride=(0, 0)))))
    add("n_bomb_expanded_many.pth", zipped(state(**{"w%d" % i: tensor(size=(100, 4), stride=(0, 1))
                                                    for i in range(40)})))
    zeros = bytes(40 << 20)
    add("n_bomb_deflate.pth", pack([Member("a/data.pkl", GOOD), Member("a/data/0", zeros, method=8),
                                    Member("a/data/1", zeros, method=8), Member("a/version", b"3\n")]))
    add("n_bomb_deflate_ratio.pth", zipped(data=DATA, method=8, usize=1 << 30))


def tensors():
    lies = {
        "size_beyond": tensor(size=(5,)), "offset_beyond": tensor(offset=1), "stride_beyond": tensor(size=(2,), stride=(4,)),
        "negative_size": tensor(size=(-1,)), "negative_stride": tensor(stride=(-1,)), "negative_offset": tensor(offset=-1),
        "overflow_size": tensor(size=(2**62, 4), stride=(0, 1)), "overflow_stride": tensor(size=(3,), stride=(2**62,)),
        "nine_dims": tensor(size=(1,) * 9, stride=(1,) * 9), "dims_differ": tensor(size=(2, 2), stride=(1,)),
        "empty_far_offset": tensor(size=(0,), offset=5), "grad_not_bool": tensor(grad=num(1)),
        "storage_longer": tensor(store=storage(numel=5), size=(5,)), "storage_shorter": tensor(store=storage(numel=3), size=(3,)),
        "storage_wider": tensor(store=storage(cls="DoubleStorage")), "storage_missing": tensor(store=storage(key="7")),
        "storage_escape": tensor(store=storage(key="../version")), "storage_nul": tensor(store=storage(key="0\0x")),
        "storage_negative": tensor(store=storage(numel=-4)), "storage_huge": tensor(store=storage(numel=2**61)),
        "storage_complex": tensor(store=storage(cls="ComplexFloatStorage", numel=2), size=(2,)),
        "storage_quantized": tensor(store=storage(cls="QInt8Storage")), "storage_key_long": tensor(store=storage(key="0" * 65)),
    }
    for name, t in lies.items():
        add("n_tensor_%s.pth" % name, zipped(state(w=t)))
    add("n_tensor_not_storage.pth", zipped(state(w=glob("torch._utils", "_rebuild_tensor_v2") + tup(
        num(0), num(0), ints((4,)), ints((1,)), b"\x89", EMPTY) + b"R")))
    add("n_tensor_twice.pth", zipped(PROTO + b"}(" + text("w") + tensor() + text("w") + tensor() + b"u."))
    add("n_tensor_name_nul.pth", zipped(PROTO + b"}" + text("a\0b") + tensor() + b"s."))
    add("n_tensor_name_empty.pth", zipped(PROTO + b"}" + text("") + tensor() + b"s."))
    add("n_tree_empty_dict.pth", zipped(PROTO + b"}."))
    add("n_tree_number.pth", zipped(PROTO + b"K\1."))
    add("n_tree_tensor.pth", zipped(PROTO + tensor() + STOP))
    add("n_tree_two.pth", zipped(PROTO + b"}" + text("a") + GOOD[2:-1] + b"s" + text("b") + GOOD[2:-1] + b"s."))
    add("n_tree_int_keys.pth", zipped(PROTO + b"}" + num(1) + tensor() + b"s."))
    add("y_tensor_plain.pth", zipped())
    add("y_tensor_offset.pth", zipped(state(w=tensor(offset=1, size=(3,)))))
    add("y_tensor_strided.pth", zipped(state(w=tensor(size=(2, 2), stride=(1, 2)))))
    add("y_tensor_expanded.pth", zipped(state(w=tensor(size=(3, 4), stride=(0, 1)))))
    add("y_tensor_untyped.pth", zipped(state(w=tensor(store=storage(cls="UntypedStorage", module="torch.storage",
                                                                    numel=16), size=(16,)))))
    add("y_tensor_v1.pth", zipped(state(w=glob("torch._utils", "_rebuild_tensor") + tup(
        storage(), num(0), ints((4,)), ints((1,))) + b"R")))
    add("y_tensor_python2_dict.pth", zipped(PROTO + glob("collections", "OrderedDict")
                                            + b"]](U\1w" + tensor() + b"ea\x85R."))
    add("y_tree_module.pth", zipped(PROTO + b"}" + text("module.w") + tensor() + b"s."))
    add("y_tree_nested.pth", zipped(PROTO + b"}" + text("epoch") + num(3) + b"s" + text("model") + GOOD[2:-1] + b"s."))
    add("y_tree_net.pth", zipped(PROTO + b"}" + text("net") + GOOD[2:-1] + b"s" + text("lr") + b"G" + bytes(8) + b"s."))
    add("y_tree_model_state_module.pth", zipped(PROTO + b"}" + text("model_state") + b"}" + text("module.w") + tensor() + b"ss."))
    add("y_tree_deep.pth", zipped(PROTO + b"}" + text("checkpoint") + b"}" + text("ema") + GOOD[2:-1] + b"ss."))
    momentum = b"}" + text("state") + b"}" + num(0) + b"}" + text("momentum_buffer") + tensor() + b"sss" + text("param_groups") + \
        b"]}" + text("lr") + num(1) + b"s" + text("params") + b"]" + num(0) + b"asas"
    add("y_tree_optimizer.pth", zipped(PROTO + b"}(" + text("optimizer") + momentum + text("model") + GOOD[2:-1] + text("epoch")
                                       + num(3) + b"u."))
    add("y_tree_mixed_values.pth", zipped(PROTO + b"}(" + text("w") + tensor() + text("epoch") + num(3) + text("optimizer")
                                          + b"}" + text("state") + b"}" + num(0) + tensor() + b"ss" + b"u."))
    add("y_tree_same_dict_twice.pth", zipped(PROTO + b"}" + text("a") + GOOD[2:-1] + b"q\0s" + text("b") + b"h\0s."))


def archives():
    good = members()
    add("y_zip_zip64.pth", pack(good, zip64=True))
    add("y_zip_deflated.pth", zipped(method=8))
    add("y_zip_folder_entry.pth", pack([Member("a/", b"")] + good))
    add("y_zip_no_byteorder.pth", pack([m for m in members() if m.name != b"a/byteorder"]))
    add("y_zip_gap.pth", pack(good, gap=b"gap"))
    d = b"PK\7\x08" + struct.pack("<III", zlib.crc32(DATA), 16, 16)
    add("y_zip_descriptor.pth", zipped(flags=0x808, descriptor=d))
    for name, data in {
        "crc": zipped(crc=1), "crc_pickle": pack([Member("a/data.pkl", GOOD, crc=5)] + good[1:]),
        "crc_unused": pack(good + [Member("a/extra", b"x", crc=7)]),
        "crc_deflated": zipped(method=8, crc=1), "local_crc": zipped(local_crc=1),
        "flag_encrypted": zipped(flags=1), "flag_patch": zipped(flags=0x20), "flag_strong": zipped(flags=0x40),
        "flag_masked": zipped(flags=0x2000), "flag_unknown": zipped(flags=0x10), "flag_differs": zipped(local_flags=0x800),
        "method_12": zipped(method=12), "method_differs": zipped(local_method=8),
        "local_name": zipped(local_name=b"a/data/1"), "local_name_longer": zipped(local_name=b"a/data/00"),
        "local_name_shorter": zipped(local_name=b"a/data/"),
        "local_size": zipped(local_usize=17), "sizes_differ": zipped(usize=15), "size_beyond": zipped(usize=9999, csize=9999),
        "size_4g": zipped(usize=0xFFFFFFFE, csize=0xFFFFFFFE), "size_64_missing": zipped(usize=0xFFFFFFFF, csize=0xFFFFFFFF),
        "header_beyond": zipped(header=99999), "header_wrong": zipped(header=1), "header_magic": zipped(magic=b"PK\3\5"),
        "descriptor_lies": zipped(flags=8, descriptor=d[:4] + b"\0\0\0\0" + d[8:]), "descriptor_missing": zipped(flags=8),
        "extra_cut": zipped(extra=b"\1\0\xff\0"), "central_extra_cut": zipped(central_extra=b"\1\0\x10"),
        "disk": zipped(disk=1), "deflate_damaged": zipped(method=8, packed=b"\xff" * 16),
        "deflate_longer": zipped(method=8, packed=deflate(DATA + b"more")), "deflate_shorter": zipped(method=8, packed=deflate(DATA[:8])),
        "deflate_trailing": zipped(method=8, packed=deflate(DATA) + b"junk"),
        "comment": pack(good, comment=b"hello"), "trailing": pack(good, tail=b"\0"), "cut_end": pack(good, cut=1),
        "cut_half": zipped()[:300], "only_magic": b"PK\3\4", "count_more": pack(good, n=5), "count_less": pack(good, n=3),
        "count_zero": pack(good, n=0), "count64_lies": pack(good, zip64=True, lie64=1), "directory_shifted": pack(good, cd_shift=1),
        "directory_tail": pack(good, cd_tail=b"junk"), "empty": b"PK\5\6" + bytes(18), "prefix": pack(good, prefix=b"#!/bin/sh\n"),
        "prefix_zip": pack(good, prefix=b"PK\3\4" + bytes(26)),
        "twice": pack(good + [Member("a/data/0", DATA)]), "twice_pickle": pack(good + [Member("a/data.pkl", GOOD)]),
        "overlap": pack(good + [Member("a/data/1", DATA, header=0, local_name=b"a/data/1")]),
        "name_dotdot": pack(good + [Member("a/../x", b"")]), "name_absolute": pack(good + [Member("/a/x", b"")]),
        "name_backslash": pack(good + [Member("a\\x", b"")]), "name_nul": pack(good + [Member(b"a/x\0y", b"")]),
        "name_empty": pack(good + [Member("", b"")]), "name_not_utf8": pack(good + [Member(b"a/\xff", b"")]),
        "name_escape": pack(good + [Member(b"a/\x1b[2J", b"")]),
        "other_folder": pack(good + [Member("b/x", b"")]), "no_folder": pack([Member("data.pkl", GOOD)] + good),
        "no_pickle": pack(good[1:]), "no_version": pack(good[:3]), "version_0": pack(members(version=b"0\n")),
        "version_11": pack(members(version=b"11\n")), "version_text": pack(members(version=b"x\n")),
        "version_empty": pack(members(version=b"")),
        "big_endian": pack([good[0], Member("a/byteorder", b"big"), good[2], good[3]]),
        "torchscript": pack(good + [Member("a/constants.pkl", GOOD)]),
        "torchscript_code": pack(good + [Member("a/code/m.py", b"")]),
    }.items():
        add("n_zip_%s.pth" % name, data)
    # an overlap that is honest about names: the second member lies inside the data of the first
    inner = pack([Member("a/data/1", DATA)])[:30 + 8 + 16]
    outer = pack(members(data=inner, pickle=state(w=tensor(store=storage(numel=len(inner), cls="ByteStorage"), size=(8,)))))
    at = outer.index(inner)
    ms = members(data=inner, pickle=state(w=tensor(store=storage(numel=len(inner), cls="ByteStorage"), size=(8,))))
    add("n_zip_overlap_inside.pth", pack(ms + [Member("a/data/1", DATA, header=at)]))


def legacy():
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e"
    protocol = b"\x80\x02M\xe9\x03."

    def system(little=b"\x88", version=1001, short=2, size_long=4):
        sizes = b"}(" + text("short") + num(short) + text("int") + num(4) + text("long") + num(size_long) + b"u"
        return PROTO + b"}(" + text("protocol_version") + num(version) + text("little_endian") + little + \
            text("type_sizes") + sizes + b"u."

    def obj(view=b"N", **lies):
        return state(w=tensor(store=storage(view=view, **lies)))

    def keys(*names):
        return PROTO + b"](" + b"".join(text(k) for k in names) + b"e."

    raw = struct.pack("<q", 4) + DATA
    view = tup(text("1"), num(1), num(2))
    whole = magic + protocol + system()
    add("y_legacy_plain.pth", whole + obj() + keys("0") + raw)
    add("y_legacy_long8.pth", magic + protocol + system(size_long=8) + obj() + keys("0") + raw)
    add("y_legacy_view.pth", whole + state(w=tensor(store=storage(view=view), size=(2,))) + keys("0") + raw)
    for name, data in {
        "protocol": magic + b"\x80\x02M\xea\x03." + system() + obj() + keys("0") + raw,
        "magic": magic[:-2] + b"\x1a." + protocol + system() + obj() + keys("0") + raw,
        "only_magic": magic, "big_endian": magic + protocol + system(little=b"\x89") + obj() + keys("0") + raw,
        "version": magic + protocol + system(version=1002) + obj() + keys("0") + raw,
        "short": magic + protocol + system(short=4) + obj() + keys("0") + raw,
        "system_list": magic + protocol + PROTO + b"]." + obj() + keys("0") + raw,
        "call_in_system": magic + protocol + PROTO + glob("os", "system") + STOP + obj() + keys("0") + raw,
        "call_in_keys": whole + obj() + PROTO + glob("os", "system") + STOP + raw,
        "id_five_parts": whole + state(w=tensor()) + keys("0") + raw,
        "view_beyond": whole + obj(view=tup(text("1"), num(3), num(2))) + keys("0") + raw,
        "view_tensor_beyond": whole + obj(view=view) + keys("0") + raw,
        "view_negative": whole + obj(view=tup(text("1"), num(-1), num(2))) + keys("0") + raw,
        "keys_missing": whole + obj() + keys() + raw, "keys_twice": whole + obj() + keys("0", "0") + raw + raw,
        "keys_unknown": whole + obj() + keys("0", "1") + raw + raw, "keys_dict": whole + obj() + PROTO + b"}." + raw,
        "keys_ints": whole + obj() + PROTO + b"]K\0a." + raw,
        "numel_lies": whole + obj() + keys("0") + struct.pack("<q", 3) + DATA,
        "numel_huge": whole + obj(numel=2**60) + keys("0") + struct.pack("<q", 2**60) + DATA,
        "dtype_differs": whole + state(a=tensor(store=storage(view=b"N")), b=tensor(
            store=storage(view=b"N", cls="IntStorage"))) + keys("0") + raw,
        "cut": (whole + obj() + keys("0") + raw)[:-1], "trailing": whole + obj() + keys("0") + raw + b"\0",
        "no_data": whole + obj() + keys("0"),
    }.items():
        add("n_legacy_%s.pth" % name, data)


class TarMember:
    """One header with every field open to lies, and its data; None means the honest value."""

    def __init__(self, name, data, **lies):
        self.name, self.data, self.type, self.size, self.sum = name.encode(), data, b"0", None, None
        self.magic, self.prefix, self.pad = b"ustar\x0000", b"", True
        self.__dict__.update(lies)

    def bytes(self):
        size = b"%011o" % len(self.data) if self.size is None else self.size
        h = bytearray(512)
        for at, field in ((0, self.name), (100, b"0000644"), (108, b"0000000"), (116, b"0000000"), (124, size),
                          (136, b"13060052200"), (148, b" " * 8), (156, self.type), (257, self.magic), (345, self.prefix)):
            h[at:at + len(field)] = field
        h[148:156] = b"%06o\0 " % sum(h) if self.sum is None else self.sum
        return bytes(h) + self.data + bytes(-len(self.data) % 512 if self.pad else 0)


def tars():
    """The container of 2017: honest members first, then one lie at a time."""
    root, view, number = 94210000000064, 94210000009999, 94210000001234

    def old(value):  # an integer as Python 2 wrote one of more than 32 bits
        return b"I%d\n" % value

    def system(little=b"\x88", version=1000):
        sizes = b"}(" + text("short") + num(2) + text("int") + num(4) + text("long") + num(4) + b"u"
        return PROTO + b"}(" + text("protocol_version") + num(version) + text("little_endian") + little + \
            text("type_sizes") + sizes + b"u."

    def stored(key=root, cls="FloatStorage", numel=4, data=DATA, location=text("cpu"), i=num):
        return PROTO + tup(i(key), location, glob("torch", cls)) + STOP + struct.pack("<q", numel) + data

    def listed(*views):
        return PROTO + b"](" + b"".join(ints(v) for v in views) + b"e."

    def count(n):
        return PROTO + num(n) + STOP

    def placed(key=number, at=root, size=(4,), stride=(1,), offset=0, cls="FloatTensor", ndim=None, i=num, module="torch"):
        head = PROTO + tup(i(key), i(at) if at is not None else b"N", glob(module, cls)) + STOP
        return head + struct.pack("<ii", len(size) if ndim is None else ndim, 99) + \
            struct.pack("<%dq" % (len(size) + len(stride) + 1), *size, *stride, offset)

    def obj(key=str(number), body=None):
        return PROTO + EMPTY + text("w") + (text(key) + b"Q" if body is None else body) + b"s."

    def honest(info=None, thing=None, tensors=None, storages=None):
        return [TarMember("sys_info", info or system()), TarMember("pickle", thing or obj()),
                TarMember("tensors", tensors or count(1) + placed()),
                TarMember("storages", storages or count(1) + stored() + listed())]

    def tar(ms, tail=bytes(1024)):
        return b"".join(m.bytes() for m in ms) + tail

    def with_member(i, **lies):
        ms = honest()
        ms[i].__dict__.update(lies)
        return tar(ms)

    def pax(record, type=b"x"):
        return TarMember("././@PaxHeader", record, type=type)

    good = honest()
    big = num(number)[1:]  # LONG1 of 8 bytes without its opcode
    for name, data in {
        "plain": tar(good), "gnu": tar([TarMember(m.name.decode(), m.data, magic=b"ustar  \0") for m in good]),
        "pax_time": tar([pax(b"20 mtime=1489000.25\n")] + good), "padded": tar(good, bytes(10240)),
        "order": tar(good[::-1]), "type_nul": with_member(1, type=b"\0"),
        "python2": tar(honest(thing=PROTO + glob("collections", "OrderedDict") + b"]](U\1wU" + bytes([len(str(number))])
                              + str(number).encode() + b"Qea\x85R.", tensors=count(1) + placed(i=old),
                              storages=count(1) + stored(i=old) + listed())),
        "view": tar(honest(tensors=count(1) + placed(at=view, size=(2,)),
                           storages=count(1) + stored() + listed((view, root, 1, 2)))),
        "gpu": tar(honest(tensors=count(1) + placed(module="torch.cuda"),
                          storages=count(1) + stored(location=text("cuda:0")) + listed())),
        "scalar": tar(honest(tensors=count(1) + placed(size=(), stride=()))),
        "nested": tar(honest(thing=PROTO + b"}" + text("state_dict") + obj()[2:-1] + b"s" + text("epoch") + num(3) + b"s.")),
    }.items():
        add("y_tar_%s.pth" % name, data)
    call = glob("os", "system") + text("id") + b"\x85R"
    for name, data in {
        "call_pickle": tar(honest(thing=PROTO + call + STOP)), "call_value": tar(honest(thing=obj(body=call))),
        "call_sys_info": tar(honest(info=PROTO + call + STOP)), "call_tensors": tar(honest(tensors=PROTO + call + STOP)),
        "call_storages": tar(honest(storages=PROTO + call + STOP)),
        "call_class": tar(honest(tensors=count(1) + placed(cls="load"))),
        "call_location": tar(honest(storages=count(1) + stored(location=glob("posix", "system")) + listed())),
        "call_views": tar(honest(storages=count(1) + stored() + PROTO + call + STOP)),
        "hidden_pickle": tar(honest(thing=obj() + PROTO + call + STOP)),
        "hidden_sys_info": tar(honest(info=system() + PROTO + call + STOP)),
        "hidden_tensors": tar(honest(tensors=count(1) + placed() + b"x")),
        "hidden_storages": tar(honest(storages=count(1) + stored() + listed() + b"x")),
        "id_unknown": tar(honest(thing=obj("1234"))), "id_text": tar(honest(thing=obj("w"))),
        "id_empty": tar(honest(thing=obj(""))), "id_overflow": tar(honest(thing=obj("9" * 30))),
        "id_tuple": tar(honest(thing=obj(body=storage()))), "id_in_storages": tar(honest(storages=PROTO + text("1") + b"Q.")),
        "id_storage": tar(honest(thing=obj(str(root)))), "big_endian": tar(honest(info=system(little=b"\x89"))),
        "version": tar(honest(info=system(version=1001))), "protocol_3": tar(honest(thing=b"\x80\x03" + obj()[2:])),
        "opcode": tar(honest(thing=PROTO + b"K\1" + b"2.")), "int_not_decimal": tar(honest(tensors=PROTO + b"I1x\n.")),
        "int_overflow": tar(honest(tensors=PROTO + b"I99999999999999999999\n.")),
        "count_negative": tar(honest(tensors=count(-1))), "count_more": tar(honest(tensors=count(2) + placed())),
        "count_huge": tar(honest(tensors=count(2**40) + placed())), "count_text": tar(honest(tensors=PROTO + text("1") + STOP)),
        "count_storages": tar(honest(storages=count(9) + stored() + listed())),
        "tensor_twice": tar(honest(tensors=count(2) + placed() + placed())),
        "storage_twice": tar(honest(storages=count(2) + stored() + stored() + listed())),
        "tensor_no_storage": tar(honest(tensors=count(1) + placed(at=5))),
        "tensor_none": tar(honest(tensors=count(1) + placed(at=None))),
        "tensor_type": tar(honest(tensors=count(1) + placed(cls="DoubleTensor"))),
        "tensor_beyond": tar(honest(tensors=count(1) + placed(size=(5,)))),
        "tensor_offset": tar(honest(tensors=count(1) + placed(offset=1))),
        "tensor_stride": tar(honest(tensors=count(1) + placed(stride=(2,)))),
        "tensor_negative": tar(honest(tensors=count(1) + placed(size=(-4,)))),
        "tensor_negative_stride": tar(honest(tensors=count(1) + placed(stride=(-1,), offset=3))),
        "tensor_negative_offset": tar(honest(tensors=count(1) + placed(size=(1,), offset=-1))),
        "tensor_overflow": tar(honest(tensors=count(1) + placed(size=(2**62, 4), stride=(0, 1)))),
        "tensor_nine_dims": tar(honest(tensors=count(1) + placed(size=(1,) * 9, stride=(1,) * 9))),
        "tensor_dims_negative": tar(honest(tensors=count(1) + placed(ndim=-1))),
        "tensor_dims_cut": tar(honest(tensors=count(1) + placed(ndim=8))),
        "tensor_expanded": tar(honest(tensors=count(1) + placed(size=(1000, 1000), stride=(0, 0)))),
        "storage_longer": tar(honest(storages=count(1) + stored(numel=5))),
        "storage_huge": tar(honest(storages=count(1) + stored(numel=2**61) + listed())),
        "storage_negative": tar(honest(storages=count(1) + stored(numel=-1) + listed())),
        "storage_class": tar(honest(storages=count(1) + stored(cls="FloatTensor") + listed())),
        "view_beyond": tar(honest(storages=count(1) + stored() + listed((view, root, 3, 2)))),
        "view_negative": tar(honest(storages=count(1) + stored() + listed((view, root, -1, 2)))),
        "view_no_root": tar(honest(storages=count(1) + stored() + listed((view, 5, 0, 2)))),
        "view_of_view": tar(honest(storages=count(1) + stored() + listed((view, root, 0, 2), (7, view, 0, 1)))),
        "view_itself": tar(honest(storages=count(1) + stored() + listed((view, view, 0, 2)))),
        "view_taken": tar(honest(storages=count(1) + stored() + listed((root, root, 0, 2)))),
        "views_missing": tar(honest(storages=count(1) + stored())),
        "views_dict": tar(honest(storages=count(1) + stored() + PROTO + b"}.")),
        "sum": with_member(1, sum=b"000001\0 "), "sum_text": with_member(1, sum=b"xxxxxx\0 "),
        "magic": with_member(1, magic=b"xstar\x0000"), "size_beyond": with_member(3, size=b"00077777777"),
        "size_binary": with_member(1, size=b"\x80" + bytes(10) + b"\x40"), "size_text": with_member(1, size=b"9" * 11),
        "size_empty": with_member(1, size=b"\0" * 11), "link": with_member(1, type=b"2"), "folder": with_member(1, type=b"5"),
        "sparse": with_member(1, type=b"S"), "name_other": with_member(1, name=b"../pickle"),
        "name_prefix": with_member(1, prefix=b"../.."), "name_escape": with_member(1, name=b"\x1b[2J"),
        "twice": tar(good + [TarMember("pickle", obj())]), "missing_pickle": tar(good[:1] + good[2:]),
        "missing_storages": tar(good[:3]), "extra": tar(good + [TarMember("readme", b"x")]),
        "pax_path": tar([pax(b"17 path=storages\n")] + good), "pax_size": tar([pax(b"9 size=1\n")] + good),
        "pax_global_size": tar([pax(b"9 size=1\n", b"g")] + good), "pax_length": tar([pax(b"99 mtime=1\n")] + good),
        "pax_no_newline": tar([pax(b"11 mtime=12")] + good), "pax_large": tar([pax(b"9 " + b"x" * 70000)] + good),
        "cut_header": tar(good)[:700], "cut_member": tar(good)[:-1600], "cut_end": tar(good, bytes(512)), "cut_no_end": tar(good, b""),
        "trailing": tar(good, bytes(1024) + b"PK\3\4"), "second_archive": tar(good) + tar(good),
        "zeros_first": bytes(512) + tar(good), "proto_cut": tar(honest(tensors=b"\x80\x02")),
        "long_cut": tar(honest(tensors=PROTO + b"\x8a\x08" + big[1:4])),
    }.items():
        add("n_tar_%s.pth" % name, data)


def tensors_safe():
    def st(header, data=DATA, length=None):
        h = header if isinstance(header, bytes) else header.encode()
        return struct.pack("<Q", len(h) if length is None else length) + h + data

    w = '"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}'
    add("y_safe_plain.safetensors", st("{" + w + "}"))
    add("y_safe_blanks.safetensors", st("  \n{" + w + "}   "))
    add("y_safe_scalar.safetensors", st('{"w":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', DATA[:4]))
    add("y_safe_unaligned.safetensors", st('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
                                           '"w":{"dtype":"F32","shape":[4],"data_offsets":[1,17]}}', b"\1" + DATA))
    add("y_safe_empty_tensor.safetensors", st('{"e":{"dtype":"F32","shape":[0,9],"data_offsets":[0,0]},' + w + "}"))
    for name, data in {
        "cut_length": b"\x10\0\0\0", "length_huge": st("{" + w + "}", length=2**63), "length_beyond": st("{" + w + "}", length=999),
        "length_100m": st("{" + w + "}", length=100000001),
        "length_zero": st(b"", b"{" + DATA), "no_json": st('{"w'), "json_list": st('["w"]'), "json_cut": st("{" + w),
        "not_utf8": st(b'{"\xff":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'),
        "key_twice": st("{" + w + "," + w + "}"), "hole": st("{" + w.replace("[0,16]", "[4,20]") + "}", DATA + DATA[:4]),
        "overlap": st("{" + w + "," + w.replace('"w"', '"v"') + "}"), "short": st("{" + w + "}", DATA[:15]),
        "trailing": st("{" + w + "}", DATA + b"\0"), "size": st("{" + w.replace("[4]", "[5]") + "}"),
        "order": st("{" + w.replace("[0,16]", "[16,0]") + "}"), "negative": st("{" + w.replace("[0,16]", "[-16,0]") + "}"),
        "shape_negative": st("{" + w.replace("[4]", "[-4]") + "}"), "shape_real": st("{" + w.replace("[4]", "[4.0]") + "}"),
        "shape_overflow": st("{" + w.replace("[4]", "[4294967296,4294967296,4]") + "}"),
        "shape_nine": st("{" + w.replace("[4]", "[1,1,1,1,1,1,1,1,4]") + "}"),
        "dtype_f8": st("{" + w.replace("F32", "F8_E4M3") + "}"), "dtype_number": st("{" + w.replace('"F32"', "1") + "}"),
        "dtype_missing": st('{"w":{"shape":[4],"data_offsets":[0,16]}}'), "key_extra": st("{" + w[:-1] + ',"x":1}}'),
        "offsets_three": st("{" + w.replace("[0,16]", "[0,8,16]") + "}"), "offset_big": st("{" + w.replace("16", "99999999999999999999") + "}"),
        "metadata_number": st('{"__metadata__":{"a":1},' + w + "}"), "metadata_list": st('{"__metadata__":[],' + w + "}"),
        "sha": st('{"__metadata__":{"engraft.sha256":"' + "0" * 64 + '"},' + w + "}"), "name_empty": st("{" + w.replace('"w"', '""') + "}"),
        "deep": st("{" + '"a":[' * 1 + "[" * 5000 + "]" * 5000 + "]}"),
    }.items():
        add("n_safe_%s.safetensors" % name, data)


def strangers():
    tar = bytearray(1024)
    tar[:7], tar[257:263] = b"storage", b"ustar\0"
    for name, data in {"empty": b"", "tar": bytes(tar), "preview": b"PYTORCH1" + bytes(64), "html": b"<!DOCTYPE html><html>",
                       "lfs": b"version https://git-lfs.github.com/spec/v1\n", "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(64),
                       "gzip": b"\x1f\x8b\x08" + bytes(64), "text": b"class,file\na,b\n", "zeros": bytes(256),
                       "one_byte": b"\x80", "png": b"\x89PNG\r\n\x1a\n" + bytes(32)}.items():
        add("n_other_%s.pth" % name, data)


def behind_head(data):
    """A legacy file without magic, protocol and system information, which fuzz_legacy.c puts in front itself."""
    return data[data.index(PROTO, 23):]


def seeds():
    """Seeds of the fuzz targets: what loads, a few of what does not, and the samples that PyTorch wrote."""
    samples = os.path.join(ROOT, "data", "weights")
    found = {t: {} for t in ("weights", "zip", "legacy", "tar", "safetensors", "pickle")}
    containers = {"safe": "safetensors", "legacy": "legacy", "tar": "tar"}
    for name, data in FILES.items():
        if name.startswith("y_") and len(data) < 12000:
            found[containers.get(name.split("_")[1], "zip")][name] = data
    for name in ("zip_parameter.pth", "legacy_parameter.pth", "legacy_nested.pth", "plain.safetensors"):
        with open(os.path.join(samples, name), "rb") as f:
            found["safetensors" if name.endswith("safetensors") else name.split("_")[0]][name] = f.read()
    for container in ("zip", "legacy", "tar", "safetensors"):
        name, data = min(found[container].items(), key=lambda item: len(item[1]))
        found["weights"][name] = data
    for name in ("n_other_html.pth", "n_other_lfs.pth", "n_other_preview.pth", "n_call_plain_protocol0.pth"):
        found["weights"][name] = FILES[name]
    for name, data in list(found["legacy"].items()):
        found["legacy"][name + ".part"] = behind_head(data)
    for name in ("zip_nested.pth", "zip_parameter.pth", "zip_training.pth"):
        with zipfile.ZipFile(os.path.join(samples, name)) as z:
            inside = [m for m in z.namelist() if m.endswith("data.pkl")][0]
            found["pickle"][name + ".pkl"] = b"\0" + z.read(inside)
    for name in ("n_bomb_dup_paths.pth", "n_bomb_cycle.pth", "n_call_hooks.pth", "y_tensor_python2_dict.pth",
                 "y_tensor_strided.pth", "n_call_stack_global.pth"):
        found["pickle"][name + ".pkl"] = b"\0" + zipfile.ZipFile(io.BytesIO(FILES[name])).read("a/data.pkl")
    found["pickle"]["legacy_view.pkl"] = b"\1" + behind_head(FILES["y_legacy_view.pth"])
    return found


def corpus():
    """Rewrite what this script put into the corpora; what a fuzzer found (names of 40 hex digits) stays."""
    for target, files in seeds().items():
        folder = os.path.join(ROOT, "fuzz", "corpus", target)
        os.makedirs(folder, exist_ok=True)
        for old in os.listdir(folder):
            if not re.fullmatch("[0-9a-f]{40}", old):
                os.remove(os.path.join(folder, old))
        for name, data in files.items():
            with open(os.path.join(folder, name), "wb") as f:
                f.write(data)


def main():
    for part in (calls, opcodes, bombs, tensors, archives, legacy, tars, tensors_safe, strangers):
        part()
    os.makedirs(OUT, exist_ok=True)
    for old in os.listdir(OUT):
        os.remove(os.path.join(OUT, old))
    for name, data in FILES.items():
        with open(os.path.join(OUT, name), "wb") as f:
            f.write(data)
    corpus()
    print("%d files, %d bytes" % (len(FILES), sum(map(len, FILES.values()))))


if __name__ == "__main__":
    main()
