/* Which build of the library this is. */
#ifndef OI_BASE_BUILD_H
#define OI_BASE_BUILD_H

/* The linker's mark of the object that the library is in, as hexadecimal digits, in `text` (cut at 40 digits); "" where it has
 * none. Any thread. */
void oi_build_id(char text[41]);

#endif
