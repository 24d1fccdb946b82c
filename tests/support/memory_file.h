/* A file in memory, for what is saved through a writer and loaded through a reader. */
#ifndef TESTS_SUPPORT_MEMORY_FILE_H
#define TESTS_SUPPORT_MEMORY_FILE_H

#include <onnx_infer.h>

/* Fill with zeros; free(at) at the end. */
typedef struct {
    char *at;
    size_t n;
    size_t fail_at; /* bytes from here on can neither be written nor read; 0: all can */
} memory_file;

/* Use the file, which must outlive them. */
onnx_infer_writer memory_file_writer(memory_file *f);
onnx_infer_reader memory_file_reader(memory_file *f);

#endif
