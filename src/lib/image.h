/* image.h - what a region was restored from: see image.c. */
#ifndef SW_LIB_IMAGE_H
#define SW_LIB_IMAGE_H

struct sw_lib_image;

/* Its region is gone. */
void sw_lib_image_close(struct sw_lib_image *image);

#endif
