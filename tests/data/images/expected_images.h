/* Written by make_images.py with Pillow. File, width, height, channels, SHA-256 of the pixels. */
/* clang-format off */
static const struct {
    const char *name;
    int width, height, channels;
    const char *sha256;
} expected_images[] = {
    {"gray.jpg", 37, 23, 1, "8f0dfcb26c031142eedd35c78cad3db31dcf53ca495f873ebbdb3a2e32270dbe"},
    {"colour420.jpg", 37, 23, 3, "92ea43b31ffe3180b2459c5cf0927ec1b2603229fe28703173f8b860f64d5749"},
    {"colour444.jpg", 37, 23, 3, "a518559b67651dca4e4ba556cf7c8580182d850eaee92dbd664c87a829da151a"},
    {"progressive.jpg", 37, 23, 3, "d9ceff654ac936501bbe6451507d8db8573c89c9cc523f8cd682371dcd0f7263"},
    {"cmyk.jpg", 37, 23, 3, "4aff0abc57459da0e43e6b1dd741b6e56d5e071e77c790f512a42620ec56e4c9"},
    {"gray.png", 37, 23, 1, "9251be6943fcda8c98767d2ca779f979b3abb6629a38b751424c072f571bdf83"},
    {"rgb.png", 37, 23, 3, "aaed0673f92721bb1356457e35dba8b25cbb9a9466100a632816c47c27a1b8fc"},
    {"rgba.png", 37, 23, 3, "4992ddc6da8e60fbc50d4255017ac212c33d754a91ee5ddc8a27e28c4dc3913c"},
    {"palette.png", 37, 23, 3, "bac11109ce50a1cb72e8ebf270e28b6f672d32dc8a74dda27cc3d938d2207062"},
    {"bilevel.png", 37, 23, 1, "edda59896e57c927604b054d0e22035d7199ceccb6fb731e862075929f42d0c6"},
    {"gray16.png", 37, 23, 1, "9251be6943fcda8c98767d2ca779f979b3abb6629a38b751424c072f571bdf83"},
};
/* clang-format on */
