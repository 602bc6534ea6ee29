/* Private to the net room: the metadata of one entry of the zoo as one row. Rows are printed by
 * scripts/make_zoo_table.py from torchvision's weight metadata; nobody types them. Users: arch_*.c.              */
#ifndef EG_ZOO_ROW_H
#define EG_ZOO_ROW_H

/* In this order: name of the model and of its weights, file, SHA-256 (whole, or the first eight digits), bytes of the
 * file, ImageNet top-1 and top-5 in percent, side of the crop and of the resize in pixels, bicubic, normalisation. */
#define EG_ZOO_ROW(name_, weights_, file_, sha256_, bytes_, top1_, top5_, side_, resize_,          \
                   bicubic_, norm_)                                                                \
    .name = name_, .weights = weights_, .weights_file = file_,                                     \
    .weights_url = "https://download.pytorch.org/models/" file_, .weights_sha256 = sha256_,        \
    .file_bytes = bytes_, .top1 = top1_, .top5 = top5_, .img_size = side_, .resize = resize_,      \
    .bicubic = bicubic_, norm_

#define EG_ZOO_IMAGENET .mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}
#define EG_ZOO_HALF     .mean = {0.5f, 0.5f, 0.5f}, .std = {0.5f, 0.5f, 0.5f}

#endif
