/* Every operator, one line each, sorted by domain and name; the definition is `const oi_op oi_op_<id>` in the file of
 * its family. Identifiers of domains other than ai.onnx begin with ml_, ms_ (com.microsoft), preview_ or oi_ (our own). */
OI_OP(Identity)
