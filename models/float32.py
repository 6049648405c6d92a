"""float32 with all of its digits on CUDA."""

import torch


def exact_float32() -> None:
    """Compute float32 in float32, in this process.

    cuDNN by default convolves float32 maps in TF32, which keeps 10 of the 23 bits: through a whole network the logits
    are then off by 1e-4 of the largest. Who asks for float32 asks for its digits; who wants speed has bfloat16. Set
    through these flags, and not their newer names, since torch's compiler reads these and refuses a mixture.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
