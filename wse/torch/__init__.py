"""PyTorch in front: a module's forward and backward passes on the emulated fabric, in a training loop of one's own.

    from wse.torch import wafer

    net = wafer(module, example_inputs, grid=(4, 8))
    loss = torch.nn.functional.cross_entropy(net(x), labels)
    loss.backward()                     # gradients from the fabric, in module.parameters()
    print(net.run, net.seconds)         # cycles of both passes, and their time on the device

Needs PyTorch: pip install 'wse[torch]'.  docs/torch.md says which operations are executed.
"""

from .module import Wafer, wafer

__all__ = ["Wafer", "wafer"]
