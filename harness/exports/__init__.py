"""A stored run in the forms that others read: KernelCI's, and a lab's."""
